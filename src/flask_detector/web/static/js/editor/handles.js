/** What of the selected object a pointer takes hold of, and which object lies under it. */

import { HANDLES, covers, nearestCorner, nearestEdge } from "./geometry.js";
import { areaOf, maskOf, polygonsOf } from "./objects.js";

/** @typedef {import("./objects.js").Annotation} Annotation */
/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("./geometry.js").Handle} Handle */
/** @typedef {import("./geometry.js").CornerAt} CornerAt */
/** @typedef {import("../result/camera.js").Camera} Camera */
/**
 * @typedef {{kind: "handle", handle: Handle} | {kind: "corner" | "edge", at: CornerAt} | {kind: "inside"}} Hold
 */

const REACH = { mouse: 7, pen: 10, touch: 22 }; // CSS pixels by which a pointer may miss
const AWAY = 14; // CSS pixels between an outline's box and its handles, which lie off its corners

/** @param {string} pointerType */
export function reachOf(pointerType) {
  return REACH[/** @type {keyof typeof REACH} */ (pointerType)] ?? REACH.mouse;
}

/** Return where an object's handles lie, in CSS pixels of the frame. @param {Annotation} object @param {Camera} camera */
export function handlesOf(object, { visible, pixelSize }) {
  const away = object.mask || object.polygons ? AWAY : 0;
  const [x1, y1, x2, y2] = object.box;
  const left = (x1 - visible.x) * pixelSize - away;
  const right = (x2 - visible.x) * pixelSize + away;
  const top = (y1 - visible.y) * pixelSize - away;
  const bottom = (y2 - visible.y) * pixelSize + away;
  return /** @type {[Handle, readonly [number, number]][]} */ (Object.entries(HANDLES)).map(([handle, [h, v]]) => ({
    handle,
    x: h < 0 ? left : h > 0 ? right : (left + right) / 2,
    y: v < 0 ? top : v > 0 ? bottom : (top + bottom) / 2,
  }));
}

/**
 * Return what of an object is at a point, in pixels of the picture.
 *
 * @param {Annotation} object @param {Point} point @param {Camera} camera @param {number} reach in CSS pixels
 * @param {import("./geometry.js").Size} size
 * @returns {Hold | null}
 */
export function holdAt(object, point, camera, reach, size) {
  const { visible, pixelSize } = camera;
  const polygons = polygonsOf(object);
  const corner = polygons && nearestCorner(polygons, point, reach / pixelSize);
  if (corner) {
    return { kind: "corner", at: corner };
  }
  const x = (point[0] - visible.x) * pixelSize;
  const y = (point[1] - visible.y) * pixelSize;
  const handles = handlesOf(object, camera);
  const away = (/** @type {{x: number, y: number}} */ at) => Math.hypot(at.x - x, at.y - y);
  const [nearest] = handles.sort((a, b) => away(a) - away(b));
  const [x1, y1, x2, y2] = object.box;
  const middle = { x: ((x1 + x2) / 2 - visible.x) * pixelSize, y: ((y1 + y2) / 2 - visible.y) * pixelSize };
  // In the middle of an object so small that its handles reach there, it is the object that is meant.
  if (away(nearest) <= reach && away(nearest) < away(middle)) {
    return { kind: "handle", handle: nearest.handle };
  }
  const edge = polygons && nearestEdge(polygons, point, (reach * 0.7) / pixelSize);
  if (edge) {
    return { kind: "edge", at: edge };
  }
  const side = polygons ? null : sideAt(object, point, (reach * 0.7) / pixelSize);
  if (side) {
    return { kind: "handle", handle: side };
  }
  return isInside(object, point, 0, size) ? { kind: "inside" } : null;
}

/** @param {Annotation} object @param {Point} point @param {number} reach @returns {Handle | null} */
function sideAt({ box: [x1, y1, x2, y2] }, [x, y], reach) {
  if (x >= x1 - reach && x <= x2 + reach && y >= y1 - reach && y <= y2 + reach) {
    /** @type {[Handle, number][]} */
    const sides = [["w", Math.abs(x - x1)], ["e", Math.abs(x - x2)], ["n", Math.abs(y - y1)], ["s", Math.abs(y - y2)]];
    const [[handle, away]] = sides.sort(([, a], [, b]) => a - b);
    return away <= Math.min(reach, (x2 - x1) / 4, (y2 - y1) / 4) ? handle : null;
  }
  return null;
}

/** Return the smallest object at a point. @param {Annotation[]} objects @param {Point} point @param {number} reach in pixels of the picture @param {import("./geometry.js").Size} size */
export function smallestAt(objects, point, reach, size) {
  /** @type {Annotation | null} */
  let smallest = null;
  for (const object of objects) {
    if ((!smallest || areaOf(object) < areaOf(smallest)) && isInside(object, point, reach, size)) {
      smallest = object;
    }
  }
  return smallest;
}

/** @param {Annotation} object @param {Point} point @param {number} reach @param {import("./geometry.js").Size} size */
function isInside(object, point, reach, size) {
  const [x1, y1, x2, y2] = object.box;
  const [x, y] = point;
  if (x < x1 - reach || y < y1 - reach || x > x2 + reach || y > y2 + reach) {
    return false;
  }
  if (object.polygons) {
    return covers(object.polygons, point) || nearestEdge(object.polygons, point, reach) !== null;
  }
  return maskOf(object, size)?.isNear({ x, y }, Math.max(reach, 0.01)) ?? true;
}
