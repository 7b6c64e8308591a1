/** The closed lines around what is inside, and fewer points that look the same. */

/**
 * What is inside, column by column. The runs of the column at `left + i` are those from `starts[i]` to before
 * `starts[i + 1]`, from the top down and apart; a run goes from its top to before its bottom.
 *
 * @typedef {{left: number, starts: Int32Array, tops: Int32Array, bottoms: Int32Array}} Columns
 */

/** @typedef {number[]} Ring the points of a closed line: x and y of the first, x and y of the second and so on */

/**
 * Return the corners of the closed outlines along the edges of cells; each goes up or down first.
 *
 * The upper and the lower side of each run are pieces of outlines. At the line between two columns the sides of both
 * that end there, sorted by their rows, are joined in pairs by the edges between inside and outside. Cells that touch
 * at a corner only stay apart.
 *
 * @param {Columns} columns
 * @returns {Ring[]}
 */
export function outlines({ left, starts, tops, bottoms }) {
  // A side is numbered by its run: 2i is the upper one of run i, 2i + 1 the lower one.
  const rowOf = (/** @type {number} */ side) => (side & 1 ? bottoms[side >> 1] : tops[side >> 1]);
  const columnOf = new Int32Array(tops.length);
  const atLeft = new Int32Array(2 * tops.length); // the side that the outline goes on with, at either end
  const atRight = new Int32Array(2 * tops.length);
  const width = starts.length - 1;
  for (let line = 0; line <= width; line++) {
    // Here the sides of the column before the line end, and those of the column after it begin.
    const middle = 2 * starts[line];
    const last = line < width ? 2 * starts[line + 1] : middle;
    let before = line > 0 ? 2 * starts[line - 1] : 0;
    let after = middle;
    let open = -1;
    while (before < middle || after < last) {
      let side;
      if (after >= last || (before < middle && comesFirst(rowOf(before), rowOf(after), before))) {
        side = before++;
      } else {
        side = after++;
      }
      if (open < 0) {
        open = side;
      } else {
        (open < middle ? atRight : atLeft)[open] = side;
        (side < middle ? atRight : atLeft)[side] = open;
        open = -1;
      }
    }
    columnOf.fill(line, middle / 2, last / 2);
  }
  /** @type {Ring[]} */
  const rings = [];
  const seen = new Uint8Array(2 * tops.length);
  for (let first = 0; first < seen.length; first += 2) {
    if (!seen[first]) {
      /** @type {Ring} */
      const ring = [];
      let side = first;
      do {
        seen[side] = 1;
        // Upper sides lead to the right and lower ones to the left: the inside lies to the right of the way.
        const isUpper = (side & 1) === 0;
        const next = (isUpper ? atRight : atLeft)[side];
        const x = left + columnOf[side >> 1] + (isUpper ? 1 : 0);
        if (rowOf(side) !== rowOf(next)) {
          ring.push(x, rowOf(side), x, rowOf(next));
        }
        side = next;
      } while (side !== first);
      rings.push(ring);
    }
  }
  return rings;
}

/**
 * Of two sides at a line, tell whether the one before it comes first. In one row with a lower and an upper side two
 * runs touch at a corner: the lower side, which ends the run above, comes first, and so they stay apart.
 *
 * @param {number} row @param {number} rowAfter @param {number} side the one before the line
 */
function comesFirst(row, rowAfter, side) {
  return row < rowAfter || (row === rowAfter && (side & 1) === 1);
}

/**
 * Return fewer points that look the same: corners are cut by half a cell, which makes slopes of stairs, then points
 * are left out that lie near the line without them (Douglas and Peucker, 1973). An area never becomes a line.
 *
 * @param {Ring} corners of an outline along the edges of cells
 * @param {number} tolerance in cells
 * @returns {Ring}
 */
export function simplify(corners, tolerance) {
  const ring = cut(corners);
  const count = ring.length / 2;
  const keep = new Uint8Array(count);
  keep[0] = keep[count >> 1] = 1;
  const open = [0, count >> 1, count >> 1, count];
  while (open.length) {
    const to = /** @type {number} */ (open.pop());
    const from = /** @type {number} */ (open.pop());
    const farthest = farthestBetween(ring, from, to, tolerance);
    if (farthest) {
      keep[farthest] = 1;
      open.push(from, farthest, farthest, to);
    }
  }
  const kept = ring.filter((_, i) => keep[i >> 1]);
  return kept.length < 6 ? ring : kept;
}

/** Return two points for each corner, half a cell before it and half a cell after it. @param {Ring} corners */
function cut(corners) {
  const { length } = corners;
  /** @type {Ring} */
  const ring = [];
  for (let i = 0; i < length; i += 2) {
    const [x, y] = [corners[i], corners[i + 1]];
    const before = (i + length - 2) % length;
    const after = (i + 2) % length;
    ring.push(
      x + Math.sign(corners[before] - x) / 2,
      y + Math.sign(corners[before + 1] - y) / 2,
      x + Math.sign(corners[after] - x) / 2,
      y + Math.sign(corners[after + 1] - y) / 2,
    );
  }
  return ring;
}

/**
 * Return the number of the point that lies farthest from the line between two others, 0 if none is beyond a distance.
 *
 * @param {Ring} ring @param {number} from @param {number} to @param {number} distance
 */
function farthestBetween(ring, from, to, distance) {
  const x1 = ring[2 * from];
  const y1 = ring[2 * from + 1];
  const dx = ring[(2 * to) % ring.length] - x1;
  const dy = ring[(2 * to + 1) % ring.length] - y1;
  const length = Math.hypot(dx, dy);
  let farthest = 0;
  for (let i = from + 1; i < to; i++) {
    const x = ring[2 * i] - x1;
    const y = ring[2 * i + 1] - y1;
    const d = length ? Math.abs(dx * y - dy * x) / length : Math.hypot(x, y);
    if (d > distance) {
      distance = d;
      farthest = i;
    }
  }
  return farthest;
}
