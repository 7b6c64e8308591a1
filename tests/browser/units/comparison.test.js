import assert from "node:assert/strict";
import test from "node:test";

import { match } from "../../../src/flask_detector/web/static/js/comparison/match.js";

const all = (/** @type {number} */ number) => Array(number).fill(true);

test("each object matches one at most, in the order of the pairs", () => {
  const found = match([[0, 1, true], [0, 0, true], [1, 1, true], [1, 0, false]], all(2), all(3));
  assert.deepEqual(found, [
    { kind: "right", left: null, right: 2 },
    { kind: "same", left: 0, right: 1 },
    { kind: "other", left: 1, right: 0 },
  ]);
});

test("what is not shown takes nothing from what is", () => {
  assert.deepEqual(match([[0, 0, true], [0, 1, true]], [true], [false, true]), [{ kind: "same", left: 0, right: 1 }]);
  assert.deepEqual(match([[0, 0, true]], [true], [false]), [{ kind: "left", left: 0, right: null }]);
  assert.deepEqual(match([], [], []), []);
});
