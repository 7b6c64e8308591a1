import assert from "node:assert/strict";
import test from "node:test";

import { cells, detailAt, Mask, runLengths } from "../../../src/flask_detector/web/static/js/result/masks.js";
import { outlines, simplify } from "../../../src/flask_detector/web/static/js/result/outlines.js";

const EXACT = detailAt(1);

/** How outlines are that are followed in cells of that size, be they simple or not. */
function coarse(cell, mostCorners = 0) {
  return { level: -9, cell, tolerance: 0.75, mostCorners };
}

/** A number generator with a fixed beginning, so that a failure can be repeated (Park and Miller, 1988). */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (state * 48271) % 2147483647;
    return state % limit;
  };
}

/** Return rows of 0 and 1 as the columns that are inside. */
function columnsOf(bitmap) {
  const [starts, tops, bottoms] = [[0], [], []];
  for (let x = 0; x < bitmap[0].length; x++) {
    for (let y = 0; y <= bitmap.length; y++) {
      const [before, now] = [bitmap[y - 1]?.[x] ?? 0, bitmap[y]?.[x] ?? 0];
      if (now && !before) tops.push(y);
      if (before && !now) bottoms.push(y);
    }
    starts.push(tops.length);
  }
  return { left: 0, starts, tops: Int32Array.from(tops), bottoms: Int32Array.from(bottoms) };
}

/** Return COCO's run lengths of a bitmap as its compressed string. */
function rleOf(bitmap) {
  const runs = [0];
  let last = 0;
  for (let x = 0; x < bitmap[0].length; x++) {
    for (const row of bitmap) {
      if (row[x] !== last) {
        runs.push(0);
        last = row[x];
      }
      runs[runs.length - 1]++;
    }
  }
  const counts = runs
    .map((run, i) => (i > 2 ? run - runs[i - 2] : run))
    .map((number) => {
      let text = "";
      for (let more = true; more; ) {
        const group = number & 0x1f;
        number >>= 5;
        more = group & 0x10 ? number !== -1 : number !== 0;
        text += String.fromCharCode(48 + (more ? group | 0x20 : group));
      }
      return text;
    });
  return { size: [bitmap.length, bitmap[0].length], counts: counts.join("") };
}

/** Return the closed rings of an SVG path of straight lines. */
function ringsOf(path) {
  return path
    .split("Z")
    .filter(Boolean)
    .map((ring) => {
      let [x, y] = [0, 0];
      return [...ring.matchAll(/([MLHV])(-?[\d.]+)(?: (-?[\d.]+))?/g)].map(([, kind, a, b]) => {
        [x, y] = kind === "V" ? [x, Number(a)] : kind === "H" ? [Number(a), y] : [Number(a), Number(b)];
        return [x, y];
      });
    });
}

/** Fill rings by even and odd crossings to the left of the centres of pixels. */
function filled(rings, width, height) {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => {
      let inside = 0;
      for (const ring of rings) {
        ring.forEach(([x1, y1], i) => {
          const [x2, y2] = ring[(i + 1) % ring.length];
          if (y1 > y + 0.5 !== y2 > y + 0.5 && x1 + ((y + 0.5 - y1) / (y2 - y1)) * (x2 - x1) < x + 0.5) {
            inside ^= 1;
          }
        });
      }
      return inside;
    }),
  );
}

function randomBitmaps(count, most) {
  const next = numbers(7);
  return Array.from({ length: count }, () => {
    const [width, height, share] = [1 + next(most), 1 + next(most), 1 + next(9)];
    return Array.from({ length: height }, () => Array.from({ length: width }, () => Number(next(10) < share)));
  });
}

const CASES = [
  [[1]],
  [[1, 1], [1, 1]],
  [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
  [[1, 0], [0, 1]],
  [[0, 1], [1, 0]],
  Array.from({ length: 9 }, () => [1]),
  [Array(9).fill(1)],
  Array.from({ length: 8 }, (_, y) => Array.from({ length: 8 }, (_, x) => (x + y) % 2)),
  Array.from({ length: 8 }, (_, y) => Array.from({ length: 8 }, (_, x) => Number(x === y))),
];

test("run lengths are those that pycocotools wrote", () => {
  // pycocotools.mask.encode of a bitmap of 6 rows and 5 columns: rows 1 to 3 of columns 1 and 2, all of column 4.
  assert.deepEqual(runLengths("733053"), [7, 3, 3, 3, 8, 6]);
});

test("a mask is outlined at its place in the picture", () => {
  const mask = new Mask({ size: [6, 5], counts: "733053" });
  assert.deepEqual(mask.extent, { left: 1, top: 0, right: 5, bottom: 6 });
  assert.equal(mask.path(EXACT, { left: 0, top: 0, right: 4, bottom: 6 }), "M3 1V4H1V1Z");
});

test("in cells of one pixel the outline filled again is the mask, whatever its shape", () => {
  for (const bitmap of [...CASES, ...randomBitmaps(300, 14)]) {
    const [height, width] = [bitmap.length, bitmap[0].length];
    assert.deepEqual(filled(ringsOf(new Mask(rleOf(bitmap)).path(EXACT)), width, height), bitmap);
  }
});

test("a part of a mask is that part of it", () => {
  const window = { left: 3, top: 2, right: 9, bottom: 7 };
  for (const bitmap of randomBitmaps(100, 14)) {
    const expected = bitmap.map((row, y) => row.map((on, x) => (x >= 3 && x < 9 && y >= 2 && y < 7 ? on : 0)));
    const path = new Mask(rleOf(bitmap)).path(EXACT, window);
    assert.deepEqual(filled(ringsOf(path), bitmap[0].length, bitmap.length), expected);
  }
});

test("a coarse cell is inside where any pixel of it is", () => {
  for (const bitmap of [...CASES, ...randomBitmaps(100, 30)]) {
    const [height, width] = [bitmap.length, bitmap[0].length];
    for (const cell of [2, 4]) {
      const rings = outlines(cells(columnsOf(bitmap), cell, { left: 0, top: 0, right: width, bottom: height }));
      const pairs = rings.map((ring) => ring.filter((_, i) => i % 2 === 0).map((x, i) => [x, ring[2 * i + 1]]));
      const expected = Array.from({ length: Math.ceil(height / cell) }, (_, y) =>
        Array.from({ length: Math.ceil(width / cell) }, (_, x) =>
          Number(bitmap.slice(y * cell, (y + 1) * cell).some((row) => row.slice(x * cell, (x + 1) * cell).includes(1))),
        ),
      );
      assert.deepEqual(filled(pairs, Math.ceil(width / cell), Math.ceil(height / cell)), expected);
    }
  }
});

test("a line of one pixel that is too winding to be drawn exactly keeps its length and an area", () => {
  const size = 4096;
  const rows = Array.from({ length: size }, (_, x) => 20 + Math.round(15 * Math.sin(x / 40)));
  const bitmap = Array.from({ length: 60 }, () => new Uint8Array(size));
  rows.forEach((row, x) => (bitmap[row][x] = 1));
  const mask = new Mask(rleOf(bitmap));
  for (const cell of [2, 8, 32]) {
    const rings = ringsOf(mask.path(coarse(cell)));
    assert.ok(rings.every((ring) => ring.length >= 3));
    const points = rings.flat();
    assert.ok(Math.min(...points.map(([x]) => x)) <= cell);
    assert.ok(Math.max(...points.map(([x]) => x)) >= size - cell);
  }
  assert.ok(mask.path(coarse(8)).length < mask.path(EXACT).length / 2, "it is not simplified");
});

test("what has few corners is drawn exactly in cells of any size", () => {
  const bitmap = Array.from({ length: 2800 }, () => [0, 1, 1, 1, 1, 1, 1]);
  assert.equal(new Mask(rleOf(bitmap)).path(detailAt(0.05)), "M7 0V2800H1V0Z");
  assert.equal(new Mask(rleOf([Array(800).fill(1)])).path(detailAt(0.05)), "M800 0V1H0V0Z");
});

test("only an empty mask has no outline", () => {
  assert.equal(new Mask({ size: [3, 3], counts: "9" }).path(EXACT), "");
  for (const bitmap of CASES) {
    for (const cell of [1, 2, 64]) {
      assert.notEqual(new Mask(rleOf(bitmap)).path(coarse(cell)), "");
    }
  }
});

test("cells of several pixels are half a CSS pixel at most, and outlines are exact from 100% on", () => {
  for (const pixelSize of [0.01, 0.1, 0.25, 0.3, 0.5, 0.9]) {
    const { cell } = detailAt(pixelSize);
    assert.ok(cell === 1 || cell * pixelSize <= 0.5);
  }
  for (const pixelSize of [1, 1.5, 3, 16]) {
    assert.equal(detailAt(pixelSize), EXACT);
  }
});

test("a slope of stairs becomes one line, and what is one cell wide doesn't fall flat", () => {
  const slope = Array.from({ length: 40 }, (_, y) => Array.from({ length: 40 }, (_, x) => Number(x <= y)));
  const [ring] = outlines(columnsOf(slope));
  assert.ok(ring.length > 160);
  assert.ok(simplify(ring, 0.75).length < 24);
  for (const bitmap of [[[1]], [[1, 1, 1]], [[1], [1], [1]]]) {
    const flat = simplify(outlines(columnsOf(bitmap))[0], 0.75);
    const thin = flat.filter((_, i) => i % 2 === 0).map((x, i) => [x, flat[2 * i + 1]]);
    const area = thin.reduce(([sum, [x1, y1]], [x2, y2]) => [sum + x1 * y2 - x2 * y1, [x2, y2]], [0, thin.at(-1)]);
    assert.ok(Math.abs(area[0]) / 2 >= 0.5);
  }
});

test("a pointer is near a mask whose pixels are near, not its box", () => {
  const diagonal = Array.from({ length: 50 }, (_, y) => Array.from({ length: 50 }, (_, x) => Number(x === y)));
  const mask = new Mask(rleOf(diagonal));
  assert.ok(mask.isNear({ x: 20, y: 23 }, 4));
  assert.ok(!mask.isNear({ x: 10, y: 40 }, 4));
  assert.ok(!mask.isNear({ x: 90, y: 90 }, 4));
  assert.ok(!mask.isNear({ x: -9, y: -9 }, 4));
  assert.ok(!new Mask({ size: [3, 3], counts: "9" }).isNear({ x: 1, y: 1 }, 4));
});
