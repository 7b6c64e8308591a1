import assert from "node:assert/strict";
import test from "node:test";

import { maskPath, outlines, runLengths, simplify } from "../../../src/flask_detector/web/static/js/masks.js";

test("run lengths are those that pycocotools wrote", () => {
  // pycocotools.mask.encode of a bitmap of 6 rows and 5 columns: rows 1 to 3 of columns 1 and 2, all of column 4.
  assert.deepEqual(runLengths("733053"), [7, 3, 3, 3, 8, 6]);
});

test("the outline of a square goes through the middles of its edges, around it once", () => {
  const bitmap = Uint8Array.from([0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
  const [ring, ...others] = outlines(bitmap, 4, 4);
  assert.deepEqual(others, []);
  assert.equal(ring.length, 8);
  assert.ok(ring.every(([x, y]) => x >= 1 && x <= 3 && y >= 1 && y <= 3));
});

test("a hole has an outline of its own", () => {
  const bitmap = Uint8Array.from([1, 1, 1, 1, 0, 1, 1, 1, 1]);
  assert.equal(outlines(bitmap, 3, 3).length, 2);
});

test("pixels that touch at a corner have one outline each", () => {
  assert.equal(outlines(Uint8Array.from([1, 0, 0, 1]), 2, 2).length, 2);
});

test("a mask is outlined at its place in the picture", () => {
  const path = maskPath({ size: [6, 5], counts: "733053" }, [1, 1, 3, 4]);
  assert.equal(path.match(/M/g)?.length, 1);
  const numbers = path.match(/[\d.]+/g)?.map(Number) ?? [];
  const [xs, ys] = [numbers.filter((_, i) => i % 2 === 0), numbers.filter((_, i) => i % 2 === 1)];
  assert.deepEqual([Math.min(...xs), Math.max(...xs)], [1, 3]);
  assert.deepEqual([Math.min(...ys), Math.max(...ys)], [1, 4]);
});

test("an empty mask has no outline", () => {
  assert.deepEqual(outlines(new Uint8Array(9), 3, 3), []);
  assert.equal(maskPath({ size: [3, 3], counts: "9" }, [0, 0, 3, 3]), "");
});

test("points on a straight line are left out", () => {
  const ring = [];
  for (let i = 0; i < 10; i++) ring.push([i, 0]);
  for (let i = 0; i < 10; i++) ring.push([10, i]);
  for (let i = 10; i > 0; i--) ring.push([i, 10]);
  for (let i = 10; i > 0; i--) ring.push([0, i]);
  assert.deepEqual(simplify(ring, 0.6), [
    [0, 0],
    [10, 0],
    [10, 10],
    [0, 10],
  ]);
});
