/** The pixels of a mask: decoded from COCO's compressed run lengths, drawn as outlines, pointed at. */

import { outlines, simplify } from "./outlines.js";

/** @typedef {{left: number, top: number, right: number, bottom: number}} Part of the picture, in its pixels */

const MOST_ROWS = 2 ** 26; // more than a picture can have

/**
 * How finely masks are outlined.
 *
 * @typedef {object} Detail
 * @property {number} level the same for sizes of pixels that are outlined alike
 * @property {number} cell the side of the squares whose edges are followed, in pixels of the picture
 * @property {number} tolerance in cells
 * @property {number} mostCorners up to which an outline is exact
 */

/** @type {Detail} */
const EXACT = { level: 0, cell: 1, tolerance: 0, mostCorners: Infinity };

export class Mask {
  /** @type {number | undefined} of all outlines, exact ones */
  #corners;

  /** @param {import("./main.js").Rle | import("./outlines.js").Columns} pixels */
  constructor(pixels) {
    this.columns = "counts" in pixels ? columnsOf(pixels) : pixels;
    const { left, starts, tops, bottoms } = this.columns;
    /** @type {Part} what it covers; of no size where it is empty */
    this.extent = {
      left,
      top: tops.length ? tops.reduce((a, b) => Math.min(a, b)) : 0,
      right: left + starts.length - 1,
      bottom: bottoms.reduce((a, b) => Math.max(a, b), 0),
    };
  }

  /**
   * Return the outlines as an SVG path in pixels of the picture; holes need the fill rule "evenodd".
   *
   * They run exactly along the edges of pixels where these can be seen or there is not much to draw. Else they are
   * nearer than a CSS pixel, and no part is lost, however thin.
   *
   * @param {Detail} detail
   * @param {Part} window what of the mask is wanted; its border is outlined too
   */
  path({ cell, tolerance, mostCorners }, window = this.extent) {
    this.#corners ??= cornersOf(outlines(this.columns));
    const isSimple = this.#corners <= mostCorners;
    const rings = outlines(cells(this.columns, isSimple ? 1 : cell, window));
    if (isSimple || (cell === 1 && cornersOf(rings) <= mostCorners)) {
      return rings.map(stairs).join("");
    }
    return rings.map((ring) => line(simplify(ring, tolerance), cell)).join("");
  }

  /**
   * Tell whether a pixel of the mask lies in a square around a point.
   *
   * @param {{x: number, y: number}} point in pixels of the picture
   * @param {number} distance from the square's middle to its sides
   */
  isNear({ x, y }, distance) {
    const { left, starts, tops, bottoms } = this.columns;
    const first = Math.max(Math.floor(x - distance) - left, 0);
    const last = Math.min(Math.ceil(x + distance) - left, starts.length - 1);
    for (let run = starts[first]; first < last && run < starts[last]; run++) {
      if (tops[run] < y + distance && bottoms[run] > y - distance) {
        return true;
      }
    }
    return false;
  }
}

/**
 * Return how finely masks are outlined where a pixel of the picture is of that size: exactly where it is a CSS pixel or
 * more, else so that what is left out can hardly be seen. A cell of several pixels is half a CSS pixel at most.
 *
 * @param {number} pixelSize in CSS pixels
 * @returns {Detail}
 */
export function detailAt(pixelSize) {
  const level = Math.min(Math.floor(Math.log2(pixelSize)), EXACT.level);
  if (level === EXACT.level) {
    return EXACT;
  }
  return { level, cell: 2 ** Math.max(-2 - level, 0), tolerance: 0.75, mostCorners: level === -1 ? 4096 : 256 };
}

/**
 * Return the run lengths of COCO's compressed string.
 *
 * From the fourth on, a run is told by its difference to the one two before it; a number is written in groups
 * of five bits, lowest first, with a sixth bit for "more follows". Source: pycocotools, maskApi.c.
 *
 * @param {string} text
 * @returns {number[]}
 */
export function runLengths(text) {
  /** @type {number[]} */
  const runs = [];
  let number = 0;
  let shift = 0;
  for (let i = 0; i < text.length; i++) {
    const group = text.charCodeAt(i) - 48;
    number |= (group & 0x1f) << shift;
    shift += 5;
    if (group & 0x20) {
      continue;
    }
    if (group & 0x10) {
      number |= -1 << shift;
    }
    runs.push(runs.length > 2 ? number + runs[runs.length - 2] : number);
    number = shift = 0;
  }
  return runs;
}

/**
 * Return what is inside a mask, column by column.
 *
 * @param {import("./main.js").Rle} rle
 * @returns {import("./outlines.js").Columns}
 */
function columnsOf({ size: [rows], counts }) {
  const columns = new Builder();
  let at = 0;
  runLengths(counts).forEach((length, i) => {
    const end = at + length;
    while (i % 2 === 1 && at < end) {
      const column = Math.floor(at / rows);
      const next = Math.min(end, (column + 1) * rows);
      columns.add(column, at - column * rows, next - column * rows);
      at = next;
    }
    at = end;
  });
  return columns.built();
}

/**
 * Return a part of what is inside as columns of cells of `step` by `step` pixels. A cell is inside where any pixel of
 * it is, so that nothing thin is lost.
 *
 * @param {import("./outlines.js").Columns} columns
 * @param {number} step
 * @param {Part} window
 * @returns {import("./outlines.js").Columns}
 */
export function cells({ left, starts, tops, bottoms }, step, window) {
  const built = new Builder();
  const from = Math.max(left, window.left);
  const to = Math.min(left + starts.length - 1, window.right);
  for (let cell = Math.floor(from / step); cell * step < to; cell++) {
    const first = starts[Math.max(cell * step, from) - left];
    const last = starts[Math.min((cell + 1) * step, to) - left];
    /** @type {number[]} both ends of each run as one number, by which they are put in order */
    const runs = [];
    for (let run = first; run < last; run++) {
      const top = Math.floor(Math.max(tops[run], window.top) / step);
      const bottom = Math.ceil(Math.min(bottoms[run], window.bottom) / step);
      if (top < bottom) {
        runs.push(top * MOST_ROWS + bottom);
      }
    }
    if (step > 1) {
      runs.sort((a, b) => a - b);
    }
    for (const run of runs) {
      built.add(cell, Math.floor(run / MOST_ROWS), run % MOST_ROWS);
    }
  }
  return built.built();
}

/** Gathers runs, which must come column by column and in each from the top down, and joins those that meet. */
export class Builder {
  #left = 0;
  /** @type {number[]} */
  #starts = [];
  /** @type {number[]} */
  #tops = [];
  /** @type {number[]} */
  #bottoms = [];

  /** @param {number} column @param {number} top @param {number} bottom the row after the last */
  add(column, top, bottom) {
    const count = this.#tops.length;
    if (count === 0) {
      this.#left = column;
    }
    const isNew = this.#left + this.#starts.length <= column;
    while (this.#left + this.#starts.length <= column) {
      this.#starts.push(count);
    }
    if (!isNew && top <= this.#bottoms[count - 1]) {
      this.#bottoms[count - 1] = Math.max(this.#bottoms[count - 1], bottom);
    } else {
      this.#tops.push(top);
      this.#bottoms.push(bottom);
    }
  }

  built() {
    return {
      left: this.#left,
      starts: new Int32Array(this.#starts.concat(this.#tops.length)),
      tops: new Int32Array(this.#tops),
      bottoms: new Int32Array(this.#bottoms),
    };
  }
}

/** @param {import("./outlines.js").Ring[]} rings */
function cornersOf(rings) {
  return rings.reduce((sum, ring) => sum + ring.length / 2, 0);
}

/** Return an exact outline, which goes up or down first, as an SVG path. @param {import("./outlines.js").Ring} ring */
function stairs(ring) {
  let path = `M${ring[0]} ${ring[1]}`;
  for (let i = 2; i < ring.length; i += 2) {
    path += i % 4 ? `V${ring[i + 1]}` : `H${ring[i]}`;
  }
  return `${path}Z`;
}

/** Return any outline as an SVG path. @param {import("./outlines.js").Ring} ring @param {number} cell */
function line(ring, cell) {
  let path = "";
  for (let i = 0; i < ring.length; i += 2) {
    path += `${path ? "L" : "M"}${ring[i] * cell} ${ring[i + 1] * cell}`;
  }
  return `${path}Z`;
}
