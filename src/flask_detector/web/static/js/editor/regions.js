/** The pixels of a region: filled from outlines, brushed, joined, taken away, written as COCO's run lengths. */

import { Builder, Mask } from "../result/masks.js";
import { outlines, simplify } from "../result/outlines.js";
import { covers, signedArea, within } from "./geometry.js";

/** @typedef {import("../result/outlines.js").Columns} Columns */
/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("./geometry.js").Ring} Ring */
/** @typedef {import("./geometry.js").Polygons} Polygons */
/** @typedef {import("./geometry.js").Size} Size */

const TOLERANCE = 1; // pixels by which an outline with fewer corners may miss the exact one
const FEW = 12; // corners up to which an outline is exact

/**
 * Return the pixels whose centres the outlines cover, as the server fills them (structures/polygons.py).
 *
 * @param {Polygons} polygons @param {Size} size
 */
export function filled(polygons, size) {
  return polygons.map((part) => filledPart(part, size)).reduce((all, part) => joined(all, part), nothing());
}

/** @param {Ring[]} rings @param {Size} size */
function filledPart(rings, { width, height }) {
  /** @type {Map<number, number[]>} by column, where outlines cross the line through the centres of its pixels */
  const crossings = new Map();
  for (const ring of rings) {
    ring.forEach(([x1, y1], i) => {
      const [x2, y2] = ring[(i + 1) % ring.length];
      const last = Math.min(Math.ceil(Math.max(x1, x2) - 0.5), width);
      for (let column = Math.max(Math.ceil(Math.min(x1, x2) - 0.5), 0); column < last; column++) {
        const y = y1 + ((column + 0.5 - x1) / (x2 - x1)) * (y2 - y1);
        crossings.set(column, [...(crossings.get(column) ?? []), y]);
      }
    });
  }
  const built = new Builder();
  for (const column of [...crossings.keys()].sort((a, b) => a - b)) {
    const ys = /** @type {number[]} */ (crossings.get(column)).sort((a, b) => a - b);
    for (let i = 0; i + 1 < ys.length; i += 2) {
      const top = within(Math.ceil(ys[i] - 0.5), 0, height);
      const bottom = within(Math.ceil(ys[i + 1] - 0.5), 0, height);
      if (top < bottom) {
        built.add(column, top, bottom);
      }
    }
  }
  return built.built();
}

/**
 * Return the pixels that a round brush covers on its way.
 *
 * @param {Point[]} way @param {number} radius in pixels @param {Size} size
 */
export function brushed(way, radius, size) {
  const pieces = way.map((to, i) => capsule(way[Math.max(i - 1, 0)], to, radius, size));
  // In pairs, then pairs of pairs: joined one by one, a long stroke would be copied for each of its pieces.
  while (pieces.length > 1) {
    pieces.push(joined(/** @type {Columns} */ (pieces.shift()), /** @type {Columns} */ (pieces.shift())));
  }
  return pieces[0] ?? nothing();
}

/** @param {Point} a @param {Point} b @param {number} radius @param {Size} size */
function capsule([ax, ay], [bx, by], radius, { width, height }) {
  const built = new Builder();
  const length = Math.hypot(bx - ax, by - ay);
  // The straight sides begin and end at right angles to the way.
  const [nx, ny] = length ? [((by - ay) / length) * radius, ((bx - ax) / length) * radius] : [0, 0];
  /** @type {Point[]} */
  const middle = [[ax + nx, ay - ny], [bx + nx, by - ny], [bx - nx, by + ny], [ax - nx, ay + ny]];
  const first = Math.max(Math.ceil(Math.min(ax, bx) - radius - 0.5), 0);
  const last = Math.min(Math.ceil(Math.max(ax, bx) + radius - 0.5), width);
  for (let column = first; column < last; column++) {
    const x = column + 0.5;
    let top = Infinity;
    let bottom = -Infinity;
    for (const [cx, cy] of [[ax, ay], [bx, by]]) {
      const half = Math.sqrt(Math.max(radius ** 2 - (x - cx) ** 2, -1));
      if (half >= 0) {
        top = Math.min(top, cy - half);
        bottom = Math.max(bottom, cy + half);
      }
    }
    middle.forEach(([x1, y1], i) => {
      const [x2, y2] = middle[(i + 1) % 4];
      if (x1 > x !== x2 > x) {
        const y = y1 + ((x - x1) / (x2 - x1)) * (y2 - y1);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      }
    });
    const from = within(Math.ceil(top - 0.5), 0, height);
    const to = within(Math.ceil(bottom - 0.5), 0, height);
    if (from < to) {
      built.add(column, from, to);
    }
  }
  return built.built();
}

/** Return what is in either. @param {Columns} a @param {Columns} b */
export function joined(a, b) {
  return combined(a, b, (inA, inB) => inA || inB);
}

/** Return what is in the first and not in the second. @param {Columns} a @param {Columns} b */
export function without(a, b) {
  return combined(a, b, (inA, inB) => inA && !inB);
}

/** @param {Columns} a @param {Columns} b @param {(inA: boolean, inB: boolean) => boolean} rule */
function combined(a, b, rule) {
  const built = new Builder();
  const edges = [a, b].filter(({ tops }) => tops.length);
  const first = Math.min(...edges.map(({ left }) => left));
  const last = Math.max(...edges.map(({ left, starts }) => left + starts.length - 1));
  for (let column = first; column < last; column++) {
    const [ofA, ofB] = [edgesIn(a, column), edgesIn(b, column)];
    let i = 0;
    let j = 0;
    let from = -1;
    while (i < ofA.length || j < ofB.length) {
      const row = Math.min(ofA[i] ?? Infinity, ofB[j] ?? Infinity);
      i += Number(ofA[i] === row);
      j += Number(ofB[j] === row);
      const inside = rule(i % 2 === 1, j % 2 === 1);
      if (inside && from < 0) {
        from = row;
      } else if (!inside && from >= 0) {
        built.add(column, from, row);
        from = -1;
      }
    }
  }
  return built.built();
}

/** Return the rows in which a column's runs begin and end, by turns. @param {Columns} columns @param {number} column */
function edgesIn({ left, starts, tops, bottoms }, column) {
  const rows = [];
  for (let run = starts[column - left]; run < starts[column - left + 1]; run++) {
    rows.push(tops[run], bottoms[run]);
  }
  return rows;
}

/** @returns {Columns} */
function nothing() {
  return new Builder().built();
}

/** Return the same outlines with as few corners as a hand can move. @param {Columns} columns @returns {Polygons} */
export function traced(columns) {
  const rings = outlines(columns).map((ring) => pairs(ring.length > 2 * FEW ? simplify(ring, TOLERANCE) : ring));
  /** @type {Polygons} */
  const parts = rings.filter((ring) => signedArea(ring) > 0).map((outer) => [outer]);
  for (const hole of rings.filter((ring) => signedArea(ring) < 0)) {
    // The smallest one around it: an island in another's hole has holes of its own.
    const around = parts.filter(([outer]) => covers([[outer]], hole[0]));
    around.sort(([a], [b]) => signedArea(a) - signedArea(b))[0]?.push(hole);
  }
  return parts;
}

/** @param {number[]} flat @returns {Ring} */
function pairs(flat) {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
}

/** @param {Columns} columns @param {Size} size of the picture @returns {import("../result/main.js").Rle} */
export function rleOf({ left, starts, tops, bottoms }, { width, height }) {
  const counts = [];
  let end = 0; // of the last run, counted in pixels column by column
  for (let i = 0; i < starts.length - 1; i++) {
    for (let run = starts[i]; run < starts[i + 1]; run++) {
      const start = (left + i) * height + tops[run];
      const stop = (left + i) * height + bottoms[run];
      if (start === end && counts.length) {
        counts[counts.length - 1] += stop - start;
      } else {
        counts.push(start - end, stop - start);
      }
      end = stop;
    }
  }
  if (end < width * height) {
    counts.push(width * height - end);
  }
  return { size: [height, width], counts: compressed(counts) };
}

/** Return COCO's compressed string of run lengths, which `runLengths` reads (pycocotools, maskApi.c). @param {number[]} counts */
function compressed(counts) {
  let text = "";
  counts.forEach((count, i) => {
    let rest = i > 2 ? count - counts[i - 2] : count;
    for (let more = true; more; ) {
      const group = rest & 0x1f;
      rest >>= 5;
      more = group & 0x10 ? rest !== -1 : rest !== 0;
      text += String.fromCharCode(48 + (group | (more ? 0x20 : 0)));
    }
  });
  return text;
}

/** The number of pixels. @param {Columns} columns */
export function pixelsOf({ tops, bottoms }) {
  return bottoms.reduce((sum, bottom, i) => sum + bottom - tops[i], 0);
}

/** @param {Columns} columns @returns {import("./geometry.js").Box} */
export function extentOf(columns) {
  const { left, top, right, bottom } = new Mask(columns).extent;
  return [left, top, right, bottom];
}
