// @huggingface/inference, the JavaScript client, as a function, as a client and at an endpoint of its own.

import { readFile } from "node:fs/promises";
import { InferenceClient, objectDetection } from "@huggingface/inference";

const [url, picture] = process.argv.slice(2);
const bytes = await readFile(picture);
const endpointUrl = `${url}/pipeline/object-detection`;
const client = new InferenceClient("hf_made_up");
const found = [
  await objectDetection({ accessToken: "hf_made_up", endpointUrl, data: new Blob([bytes]) }),
  await client.objectDetection({ endpointUrl, data: new Blob([bytes], { type: "image/jpeg" }) }),
  await client.endpoint(`${url}/models/nanodet-g`).objectDetection({ data: new Blob([bytes]) }),
];
const data = new Blob([bytes]);
const fewer = await client.objectDetection({ endpointUrl: `${endpointUrl}?threshold=0.7`, data });
if (fewer.length === 0 || fewer.length >= found[0].length) throw new Error(`threshold: ${fewer.length}`);
const refused = await client.objectDetection({ endpointUrl, data: new Blob(["no picture"]) }).then(
  () => "taken",
  (/** @type {Error} */ error) => error.message,
);
if (!refused.includes("picture")) throw new Error(refused);
console.log(JSON.stringify(found));
