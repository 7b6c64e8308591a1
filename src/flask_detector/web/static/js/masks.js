/** From COCO's compressed run lengths to the outline that is drawn. */

const SAMPLES = 256; // across the longer side of a box: Mask R-CNN knows 28

/** Right, down, left, up: the inside lies to the right of the way. */
const STEPS = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
];

/**
 * Return the outlines of a mask as an SVG path in pixels of the picture; holes need the fill rule "evenodd".
 *
 * @param {import("./result.js").Rle} rle
 * @param {[number, number, number, number]} box xyxy that the mask lies in
 */
export function maskPath(rle, box) {
  const left = Math.floor(box[0]);
  const top = Math.floor(box[1]);
  const longer = Math.max(box[2] - left, box[3] - top);
  const step = Math.max(1, Math.ceil(longer / SAMPLES));
  const width = Math.ceil((Math.ceil(box[2]) - left) / step);
  const height = Math.ceil((Math.ceil(box[3]) - top) / step);
  const bitmap = sample(rle, { left, top, step, width, height });
  return outlines(bitmap, width, height)
    .map((ring) => simplify(ring, 0.6))
    .map((ring) => ring.map(([x, y]) => `${round(left + x * step)} ${round(top + y * step)}`))
    .map((points) => `M${points.join("L")}Z`)
    .join("");
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
 * Return a bitmap (rows of bytes, 0 or 1) of each `step`-th pixel of a part of the mask.
 *
 * @param {import("./result.js").Rle} rle
 * @param {{left: number, top: number, step: number, width: number, height: number}} part
 */
function sample({ size: [rows], counts }, { left, top, step, width, height }) {
  const bitmap = new Uint8Array(width * height);
  const first = step >> 1;
  let at = 0;
  runLengths(counts).forEach((length, i) => {
    const end = at + length;
    if (i % 2 === 1) {
      for (let column = Math.floor(at / rows); column * rows < end; column++) {
        const x = column - left - first;
        if (x < 0 || x % step || x / step >= width) {
          continue;
        }
        const from = Math.max(at - column * rows, 0) - top - first;
        const to = Math.min(end - column * rows, rows) - top - first;
        const last = Math.min(Math.ceil(to / step), height);
        for (let y = Math.max(Math.ceil(from / step), 0); y < last; y++) {
          bitmap[y * width + x / step] = 1;
        }
      }
    }
    at = end;
  });
  return bitmap;
}

/**
 * Return the closed outlines of a bitmap, through the middles of the edges between inside and outside.
 *
 * @param {Uint8Array} bitmap
 * @param {number} width
 * @param {number} height
 * @returns {[number, number][][]}
 */
export function outlines(bitmap, width, height) {
  const corners = width + 1;
  const ways = new Uint8Array(corners * (height + 1)); // by corner: which steps along an edge begin there
  const inside = (/** @type {number} */ x, /** @type {number} */ y) =>
    x >= 0 && y >= 0 && x < width && y < height && bitmap[y * width + x] === 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (bitmap[y * width + x]) {
        const corner = y * corners + x;
        if (!inside(x, y - 1)) ways[corner] |= 1;
        if (!inside(x + 1, y)) ways[corner + 1] |= 2;
        if (!inside(x, y + 1)) ways[corner + corners + 1] |= 4;
        if (!inside(x - 1, y)) ways[corner + corners] |= 8;
      }
    }
  }
  /** @type {[number, number][][]} */
  const rings = [];
  for (let start = 0; start < ways.length; start++) {
    // Every outline goes right somewhere: over its topmost pixel, or under a hole.
    while (ways[start] & 1) {
      rings.push(follow(ways, start, corners));
    }
  }
  return rings;
}

/**
 * Follow one outline until it closes, and take its ways away.
 *
 * @param {Uint8Array} ways
 * @param {number} start
 * @param {number} corners in a row
 */
function follow(ways, start, corners) {
  /** @type {[number, number][]} */
  const ring = [];
  let corner = start;
  /** @type {number | undefined} */
  let way = 0;
  while (way !== undefined) {
    ways[corner] &= ~(1 << way);
    const [dx, dy] = STEPS[way];
    ring.push([(corner % corners) + dx / 2, Math.floor(corner / corners) + dy / 2]);
    corner += dy * corners + dx;
    // Where two outlines touch at a corner, turning right keeps to the same pixels.
    way = [way + 1, way, way + 3].map((w) => w % 4).find((w) => ways[corner] & (1 << w));
  }
  return ring;
}

/**
 * Leave points out of a closed ring that lie within a distance of the line without them (Douglas and Peucker, 1973).
 *
 * @param {[number, number][]} ring
 * @param {number} tolerance
 */
export function simplify(ring, tolerance) {
  const keep = new Uint8Array(ring.length + 1);
  const at = (/** @type {number} */ i) => ring[i % ring.length];
  const half = ring.length >> 1;
  keep[0] = keep[half] = keep[ring.length] = 1;
  const open = [
    [0, half],
    [half, ring.length],
  ];
  for (let part = open.pop(); part; part = open.pop()) {
    const [from, to] = part;
    const [x1, y1] = at(from);
    const [x2, y2] = at(to);
    const length = Math.hypot(x2 - x1, y2 - y1);
    let farthest = 0;
    let distance = tolerance;
    for (let i = from + 1; i < to; i++) {
      const [x, y] = at(i);
      const d = length
        ? Math.abs((x2 - x1) * (y1 - y) - (x1 - x) * (y2 - y1)) / length
        : Math.hypot(x - x1, y - y1);
      if (d > distance) {
        distance = d;
        farthest = i;
      }
    }
    if (farthest) {
      keep[farthest] = 1;
      open.push([from, farthest], [farthest, to]);
    }
  }
  return ring.filter((_, i) => keep[i]);
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
