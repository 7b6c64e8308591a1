/** Draws an outline corner by corner; the first corner, a double click or Enter closes it. */

import { boundsOf, boxBetween, within } from "../geometry.js";

/** @typedef {import("../geometry.js").Point} Point */
/** @typedef {import("../pointers.js").Tool & {close: () => void, back: () => void, isEmpty: () => boolean}} PolygonTool */

/**
 * @param {import("../session.js").Session} session
 * @param {import("../../result/camera.js").Camera} camera
 * @param {import("../colours.js").Colours} colours
 * @returns {PolygonTool}
 */
export function polygonTool(session, camera, colours) {
  /** @type {Point[]} */
  let corners = [];
  /** @type {Point | null} */
  let pointer = null;

  const repaint = () => session.hold(null);

  function close() {
    if (corners.length >= 3) {
      const polygons = [[corners]];
      const [x1, y1, x2, y2] = boundsOf(polygons);
      corners = [];
      session.tool = "select";
      session.add({ polygons, box: boxBetween([x1, y1], [x2, y2], session.size) });
    }
  }

  return {
    cursor: "crosshair",
    down({ point, reach }) {
      const [x, y] = point;
      const isNear = (/** @type {Point | undefined} */ to) =>
        to && Math.hypot(to[0] - x, to[1] - y) <= reach / camera.pixelSize;
      if (corners.length >= 3 && isNear(corners[0])) {
        close();
      } else if (!isNear(corners.at(-1))) {
        const { width, height } = session.size;
        corners = [...corners, [tenth(within(x, 0, width)), tenth(within(y, 0, height))]];
        repaint();
      }
      return true;
    },
    move({ point }) {
      pointer = point;
      repaint();
    },
    up() {},
    cancel() {
      corners = [];
      repaint();
    },
    twice: close,
    close,
    back() {
      corners = corners.slice(0, -1);
      repaint();
    },
    isEmpty: () => !corners.length,
    draw(context) {
      const { visible, pixelSize } = camera;
      const place = (/** @type {Point} */ [x, y]) => /** @type {Point} */ ([(x - visible.x) * pixelSize, (y - visible.y) * pixelSize]);
      const points = corners.map(place);
      const way = new Path2D();
      [...points, ...(pointer && points.length ? [place(pointer)] : [])].forEach(([x, y]) => way.lineTo(x, y));
      context.fillStyle = colours.css(session.label, 0.25);
      context.fill(way);
      for (const [style, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 0.6)", 4], [colours.css(session.label), 2]])) {
        context.strokeStyle = style;
        context.lineWidth = width;
        context.stroke(way);
      }
      context.strokeStyle = "rgb(0 0 0 / 0.75)";
      context.lineWidth = 1.25;
      points.forEach(([x, y], i) => {
        context.beginPath();
        context.arc(x, y, i ? 4 : 7, 0, 2 * Math.PI);
        context.fillStyle = "#fff";
        context.fill();
        context.stroke();
      });
    },
  };
}

/** @param {number} x */
const tenth = (x) => Math.round(x * 10) / 10;
