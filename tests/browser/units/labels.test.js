import assert from "node:assert/strict";
import test from "node:test";

import { placeLabels } from "../../../src/flask_detector/web/static/js/result/labels.js";

const FRAME = { width: 600, height: 400 };

/** A number generator with a fixed beginning, so that a failure can be repeated (Park and Miller, 1988). */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (state * 48271) % 2147483647;
    return state % limit;
  };
}

test("a label lies above its box, from its left edge", () => {
  const box = { left: 100, top: 100, right: 200, bottom: 200 };
  assert.deepEqual(placeLabels([{ box, width: 60, height: 20 }], FRAME), [{ x: 100, y: 80 }]);
});

test("a label at the upper border lies within its box", () => {
  const box = { left: 100, top: 5, right: 200, bottom: 200 };
  assert.deepEqual(placeLabels([{ box, width: 60, height: 20 }], FRAME), [{ x: 100, y: 5 }]);
});

test("a box out of sight has no label", () => {
  const box = { left: 700, top: 100, right: 800, bottom: 200 };
  assert.deepEqual(placeLabels([{ box, width: 60, height: 20 }], FRAME), [null]);
});

test("labels never overlap nor leave the frame, however crowded it is", () => {
  const next = numbers(7);
  const labels = Array.from({ length: 300 }, () => {
    const left = next(620) - 20;
    const top = next(420) - 20;
    const box = { left, top, right: left + 5 + next(300), bottom: top + 5 + next(200) };
    return { box, width: 40 + next(60), height: 20 };
  });
  const placed = placeLabels(labels, FRAME)
    .map((place, i) => place && { ...place, width: labels[i].width, height: labels[i].height })
    .filter((place) => place !== null);
  assert.ok(placed.length > 20);
  placed.forEach((a, i) => {
    assert.ok(a.x >= 0 && a.y >= 0 && a.x + a.width <= 600 && a.y + a.height <= 400);
    for (const b of placed.slice(0, i)) {
      const apartX = a.x + a.width <= b.x || b.x + b.width <= a.x;
      const apartY = a.y + a.height <= b.y || b.y + b.height <= a.y;
      assert.ok(apartX || apartY);
    }
  });
});

test("the first label has its place whatever follows", () => {
  const box = { left: 100, top: 100, right: 200, bottom: 200 };
  const one = { box, width: 60, height: 20 };
  const places = placeLabels(Array(40).fill(one), FRAME);
  assert.deepEqual(places[0], { x: 100, y: 80 });
  assert.equal(places.at(-1), null);
});
