import assert from "node:assert/strict";
import test from "node:test";

import { Camera } from "../../../src/flask_detector/web/static/js/result/camera.js";

/** A picture of 1000 by 500 in a frame of 500 by 500. */
function camera() {
  const made = new Camera(1000, 500);
  made.resize(500, 500);
  return made;
}

test("at first the whole picture is in the frame's middle", () => {
  assert.deepEqual(camera().visible, { x: 0, y: -250, width: 1000, height: 1000 });
  assert.deepEqual(camera().imageTransform(), { x: 0, y: 125, scale: 0.5 });
});

test("what is under the pointer stays there while zooming", () => {
  const moved = camera();
  const at = { x: 100, y: 250 };
  const under = () => moved.visible.x + at.x / moved.pixelSize;
  const before = under();
  moved.scaleBy(4, at);
  assert.ok(Math.abs(under() - before) < 1e-9);
});

test("it never goes further out than the whole picture, nor past its border", () => {
  const moved = camera();
  moved.zoomBy(-5);
  assert.equal(moved.zoom, 1);
  moved.zoomBy(3);
  moved.moveBy(1e6, 1e6);
  assert.equal(moved.visible.x, 0);
  moved.moveBy(-1e6, 0);
  assert.ok(Math.abs(moved.visible.x + moved.visible.width - 1000) < 1e-9);
});

test("it comes as near as to see single pixels", () => {
  const moved = camera();
  moved.zoomBy(100);
  assert.equal(moved.pixelSize, 16);
});

test("of a strip as thin as a hair the beginning is shown, enlarged", () => {
  const strip = new Camera(20000, 1);
  strip.resize(500, 200);
  strip.begin();
  assert.equal(strip.pixelSize, 16);
  assert.equal(strip.visible.x, 0);
  const usual = camera();
  usual.begin();
  assert.equal(usual.zoom, 1);
});

test("single pixels of the picture can be shown as single pixels", () => {
  const moved = camera();
  moved.showPixels();
  assert.equal(moved.pixelSize, 1);
});

test("a box out of sight is brought into the middle, one in sight stays where it is", () => {
  const moved = camera();
  moved.zoomBy(3);
  const { centre } = moved;
  moved.reveal([495, 245, 505, 255]);
  assert.deepEqual(moved.centre, centre);
  moved.reveal([800, 100, 820, 120]);
  assert.equal(moved.centre.x, 810);
});
