/** The objects of a picture, as the document of annotations has them (docs/results.md). None is changed in place. */

import { Mask } from "../result/masks.js";
import * as geometry from "./geometry.js";
import { extentOf, filled, joined, pixelsOf, rleOf, traced, without } from "./regions.js";

/** @typedef {import("./geometry.js").Box} Box */
/** @typedef {import("./geometry.js").Polygons} Polygons */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("../result/outlines.js").Columns} Columns */

/**
 * One object. It has outlines that a person drew (and, as it comes from the server, the mask that they cover), or a mask
 * alone, or only a box.
 *
 * @typedef {object} Annotation
 * @property {string} id
 * @property {string} label
 * @property {"model" | "person"} source
 * @property {number | null} score
 * @property {boolean} verified
 * @property {Box} box
 * @property {import("../result/main.js").Rle} [mask]
 * @property {Polygons} [polygons]
 */
/** @typedef {{objects: Annotation[], labels: string[], verified: boolean}} State of a picture */

/** @type {WeakMap<Annotation, Mask>} */
const masks = new WeakMap();
/** @type {WeakMap<Annotation, Polygons>} */
const outlines = new WeakMap();
/** @type {WeakMap<Annotation, number>} */
const areas = new WeakMap();

/** Return an object's pixels; null for one that is only a box. @param {Annotation} object @param {Size} size */
export function maskOf(object, size) {
  if (!object.mask && !object.polygons) {
    return null;
  }
  const known = masks.get(object);
  const mask = known ?? new Mask(object.polygons ? filled(object.polygons, size) : /** @type {any} */ (object.mask));
  masks.set(object, mask);
  return mask;
}

/** Return the outlines whose corners can be moved; null for an object that is only a box. @param {Annotation} object */
export function polygonsOf(object) {
  if (!object.mask || object.polygons) {
    return object.polygons ?? null;
  }
  const known = outlines.get(object) ?? traced(new Mask(object.mask).columns);
  outlines.set(object, known);
  return known;
}

/** Return the area by which the smallest object under a point is found, in pixels. @param {Annotation} object */
export function areaOf(object) {
  const known = areas.get(object);
  if (known !== undefined) {
    return known;
  }
  const [x1, y1, x2, y2] = object.box;
  const area = object.polygons
    ? geometry.areaOf(object.polygons)
    : object.mask
      ? pixelsOf(new Mask(object.mask).columns)
      : (x2 - x1) * (y2 - y1);
  areas.set(object, area);
  return area;
}

/**
 * Return an object that a person has drawn.
 *
 * @param {string} label
 * @param {Pick<Annotation, "box"> & Partial<Annotation>} shape
 * @returns {Annotation}
 */
export function drawn(label, shape) {
  const id = crypto.getRandomValues(new Uint32Array(2)).reduce((text, n) => text + n.toString(36), "p");
  return { score: null, verified: false, ...shape, id, label, source: "person" };
}

/** Return an object as a person has changed it. @param {Annotation} object @param {Partial<Annotation>} change @returns {Annotation} */
export function changed(object, change) {
  return { ...object, source: "person", ...change };
}

/** @param {Annotation} object @param {number} dx @param {number} dy whole pixels where it has a mask @param {Size} size */
export function moved(object, dx, dy, size) {
  const box = geometry.movedBox(object.box, dx, dy, size);
  return withBox(object, box, size);
}

/** Return an object whose outlines go along with its box. @param {Annotation} object @param {Box} box @param {Size} size */
export function withBox(object, box, size) {
  const polygons = polygonsOf(object);
  const [dx, dy] = [box[0] - object.box[0], box[1] - object.box[1]];
  if (!polygons) {
    return changed(object, { box });
  }
  const isMoved = same(box[2] - object.box[2], dx) && same(box[3] - object.box[3], dy);
  if (isMoved && object.mask && !object.polygons && Number.isInteger(dx) && Number.isInteger(dy)) {
    const { left, starts, tops, bottoms } = new Mask(object.mask).columns;
    const columns = { left: left + dx, starts, tops: tops.map((y) => y + dy), bottoms: bottoms.map((y) => y + dy) };
    if (isWithin(columns, size)) {
      return changed(object, { box, mask: rleOf(columns, size) });
    }
  }
  const stretched = isMoved
    ? geometry.movedPolygons(polygons, dx, dy)
    : geometry.stretchedPolygons(polygons, object.box, box);
  return changed(object, { box, mask: undefined, polygons: clipped(stretched, size) });
}

/** @param {number} a @param {number} b */
const same = (a, b) => Math.abs(a - b) < 1e-6;

/** @param {Columns} columns @param {Size} size */
function isWithin(columns, { width, height }) {
  const [x1, y1, x2, y2] = extentOf(columns);
  return x1 >= 0 && y1 >= 0 && x2 <= width && y2 <= height;
}

/** @param {Polygons} polygons @param {Size} size @returns {Polygons} */
function clipped(polygons, { width, height }) {
  return polygons.map((part) =>
    part.map((ring) => ring.map(([x, y]) => [geometry.within(x, 0, width), geometry.within(y, 0, height)])),
  );
}

/** Return an object with these outlines, and the box around them. @param {Annotation} object @param {Polygons} polygons @param {Size} size */
export function withPolygons(object, polygons, size) {
  const within = clipped(polygons, size);
  const [x1, y1, x2, y2] = geometry.boundsOf(within);
  const box = geometry.boxBetween([x1, y1], [x2, y2], size);
  return changed(object, { polygons: within, mask: undefined, box });
}

/**
 * Return an object with pixels added or erased, and the box around them; null where nothing is left. What was only a
 * box begins with the first stroke.
 *
 * @param {Annotation} object @param {Columns} stroke @param {boolean} isErased @param {Size} size
 */
export function withStroke(object, stroke, isErased, size) {
  const mask = maskOf(object, size);
  const columns = mask ? (isErased ? without : joined)(mask.columns, stroke) : stroke;
  if (!columns.tops.length) {
    return null;
  }
  return changed(object, { mask: rleOf(columns, size), polygons: undefined, box: extentOf(columns) });
}

/** Return the document that is sent. @param {State} state @param {Size} size @returns {import("./document.js").Document} */
export function documentOf({ objects, labels, verified }, { width, height }) {
  return { version: 1, width, height, verified, labels, objects };
}
