import assert from "node:assert/strict";
import test from "node:test";

import { bytes, count, percent } from "../../../src/flask_detector/web/static/js/shared/format.js";

test("sizes are told in the unit that fits", () => {
  assert.equal(bytes(999), "999 bytes");
  assert.equal(bytes(1000), "1 kB");
  assert.equal(bytes(999_499), "999 kB");
  assert.equal(bytes(999_500), "1.0 MB");
  assert.equal(bytes(25_000_000), "25.0 MB");
});

test("scores are whole percentages", () => {
  assert.equal(percent(0.866), "87%");
  assert.equal(percent(0), "0%");
});

test("one is not many", () => {
  assert.equal(count(1, "object"), "1 object");
  assert.equal(count(0, "object"), "0 objects");
});
