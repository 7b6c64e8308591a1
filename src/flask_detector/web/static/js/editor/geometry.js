/** Boxes, corners and outlines in pixels of the picture: moved, resized, pointed at. Nothing here is changed in place. */

/** @typedef {[number, number, number, number]} Box xyxy */
/** @typedef {[number, number]} Point */
/** @typedef {Point[]} Ring the corners of a closed line */
/** @typedef {Ring[][]} Polygons for each part of an object its rings: the outer one, then its holes */
/** @typedef {{part: number, ring: number, corner: number}} CornerAt */
/** @typedef {{width: number, height: number}} Size */

/** Which sides of a box each of its handles moves: of x -1 the left one, 1 the right one; of y the upper and lower. */
export const HANDLES = /** @type {const} */ ({
  nw: [-1, -1], n: [0, -1], ne: [1, -1], e: [1, 0], se: [1, 1], s: [0, 1], sw: [-1, 1], w: [-1, 0],
});

/** @typedef {keyof typeof HANDLES} Handle */

const SMALLEST = 1; // pixel of the picture: the shortest side of a box

/** @param {Box} box @param {number} dx @param {number} dy @param {Size} size that it stays within @returns {Box} */
export function movedBox([x1, y1, x2, y2], dx, dy, { width, height }) {
  const x = within(dx, -x1, width - x2);
  const y = within(dy, -y1, height - y2);
  return [x1 + x, y1 + y, x2 + x, y2 + y];
}

/**
 * Return a box whose handle was moved; dragged past the other side, it goes on there.
 *
 * @param {Box} box @param {Handle} handle @param {number} dx @param {number} dy @param {Size} size
 */
export function resizedBox(box, handle, dx, dy, size) {
  const [x1, y1, x2, y2] = box;
  const [h, v] = HANDLES[handle];
  return boxBetween([h < 0 ? x1 + dx : x1, v < 0 ? y1 + dy : y1], [h > 0 ? x2 + dx : x2, v > 0 ? y2 + dy : y2], size);
}

/** Return the box with two opposite corners, within the picture. @param {Point} a @param {Point} b @param {Size} size @returns {Box} */
export function boxBetween(a, b, { width, height }) {
  const [x1, x2] = side(a[0], b[0], width);
  const [y1, y2] = side(a[1], b[1], height);
  return [x1, y1, x2, y2];
}

/** @param {number} a @param {number} b @param {number} length */
function side(a, b, length) {
  const low = within(Math.min(a, b), 0, length);
  const high = within(Math.max(a, b), 0, length);
  if (high - low >= Math.min(SMALLEST, length)) {
    return [low, high];
  }
  const start = Math.max(Math.min(low, length - SMALLEST), 0);
  return [start, Math.min(start + SMALLEST, length)];
}

/** @param {Polygons} polygons @param {number} dx @param {number} dy @returns {Polygons} */
export function movedPolygons(polygons, dx, dy) {
  return polygons.map((part) => part.map((ring) => ring.map(([x, y]) => [x + dx, y + dy])));
}

/**
 * Return outlines that go along with a box whose sides were moved.
 *
 * @param {Polygons} polygons @param {Box} from @param {Box} to @returns {Polygons}
 */
export function stretchedPolygons(polygons, from, to) {
  const [x1, y1, x2, y2] = from;
  const across = (to[2] - to[0]) / (x2 - x1);
  const down = (to[3] - to[1]) / (y2 - y1);
  return polygons.map((part) =>
    part.map((ring) => ring.map(([x, y]) => [to[0] + (x - x1) * across, to[1] + (y - y1) * down])),
  );
}

/** @param {Polygons} polygons @returns {Box} */
export function boundsOf(polygons) {
  const points = polygons.flat(2);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** The area in square pixels, positive where the corners go clockwise as the picture is seen. @param {Ring} ring */
export function signedArea(ring) {
  return ring.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);
}

/** @param {Polygons} polygons */
export function areaOf(polygons) {
  return polygons.reduce((sum, [outer, ...holes]) => {
    return sum + Math.abs(signedArea(outer)) - holes.reduce((left, hole) => left + Math.abs(signedArea(hole)), 0);
  }, 0);
}

/** Tell whether a point is inside, by how often a line to its right is crossed. @param {Polygons} polygons @param {Point} point */
export function covers(polygons, [x, y]) {
  return polygons.some((part) => part.filter((ring) => crosses(ring, x, y)).length % 2 === 1);
}

/** @param {Ring} ring @param {number} x @param {number} y */
function crosses(ring, x, y) {
  let inside = false;
  ring.forEach(([x1, y1], i) => {
    const [x2, y2] = ring[(i + 1) % ring.length];
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) {
      inside = !inside;
    }
  });
  return inside;
}

/** @param {Polygons} polygons @param {(at: CornerAt, point: Point, next: Point) => void} act */
export function forCorners(polygons, act) {
  polygons.forEach((rings, part) =>
    rings.forEach((points, ring) =>
      points.forEach((point, corner) => act({ part, ring, corner }, point, points[(corner + 1) % points.length])),
    ),
  );
}

/** Return the nearest corner up to a distance. @param {Polygons} polygons @param {Point} to @param {number} distance */
export function nearestCorner(polygons, to, distance) {
  /** @type {CornerAt | null} */
  let nearest = null;
  forCorners(polygons, (at, point) => {
    const away = Math.hypot(point[0] - to[0], point[1] - to[1]);
    if (away <= distance) {
      distance = away;
      nearest = at;
    }
  });
  return /** @type {CornerAt | null} */ (nearest);
}

/** Return the corner after which the nearest edge begins. @param {Polygons} polygons @param {Point} to @param {number} distance */
export function nearestEdge(polygons, to, distance) {
  /** @type {CornerAt | null} */
  let nearest = null;
  forCorners(polygons, (at, [x1, y1], [x2, y2]) => {
    const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
    const along = length && within(((to[0] - x1) * (x2 - x1) + (to[1] - y1) * (y2 - y1)) / length, 0, 1);
    const away = Math.hypot(x1 + along * (x2 - x1) - to[0], y1 + along * (y2 - y1) - to[1]);
    if (away <= distance) {
      distance = away;
      nearest = at;
    }
  });
  return /** @type {CornerAt | null} */ (nearest);
}

/** @param {Polygons} polygons @param {CornerAt} at @returns {Point} */
export function cornerAt(polygons, { part, ring, corner }) {
  return polygons[part][ring][corner];
}

/** @param {Polygons} polygons @param {CornerAt} at @param {Point} point @returns {Polygons} */
export function withCornerAt(polygons, at, point) {
  return withRing(polygons, at, (ring) => ring.with(at.corner, point));
}

/** Return the outlines with a new corner after another one. @param {Polygons} polygons @param {CornerAt} at @param {Point} point */
export function withCornerAfter(polygons, at, point) {
  return withRing(polygons, at, (ring) => ring.toSpliced(at.corner + 1, 0, point));
}

/**
 * Return the outlines without a corner. A ring of three corners goes whole, a part with its outer ring; null where
 * nothing is left.
 *
 * @param {Polygons} polygons @param {CornerAt} at @returns {Polygons | null}
 */
export function withoutCorner(polygons, at) {
  const { part, ring, corner } = at;
  if (polygons[part][ring].length > 3) {
    return withRing(polygons, at, (points) => points.toSpliced(corner, 1));
  }
  const left = ring ? polygons.with(part, polygons[part].toSpliced(ring, 1)) : polygons.toSpliced(part, 1);
  return left.length ? left : null;
}

/** @param {Polygons} polygons @param {CornerAt} at @param {(ring: Ring) => Ring} change */
function withRing(polygons, { part, ring }, change) {
  return polygons.with(part, polygons[part].with(ring, change(polygons[part][ring])));
}

/** @param {number} value @param {number} low @param {number} high */
export function within(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
