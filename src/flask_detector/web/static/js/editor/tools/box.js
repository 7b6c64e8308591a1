/** Draws a box: pressed at one corner and let go at the other, or clicked at both. */

import { boxBetween } from "../geometry.js";
import { drawn } from "../objects.js";

/** @typedef {import("../geometry.js").Point} Point */

/** @param {import("../session.js").Session} session @param {import("../../result/camera.js").Camera} camera @returns {import("../pointers.js").Tool} */
export function boxTool(session, camera) {
  /** @type {Point | null} */
  let start = null;
  /** @type {Point | null} */
  let pointer = null;

  /** @param {Point} point */
  const box = (point) => boxBetween(rounded(/** @type {Point} */ (start)), rounded(point), session.size);

  /** @param {Point} point */
  function finish(point) {
    const shape = { box: box(point) };
    start = null;
    session.tool = "select";
    session.add(shape);
  }

  return {
    cursor: "crosshair",
    down({ point }) {
      if (start) {
        finish(point);
        return true;
      }
      start = point;
      return true;
    },
    move({ point }) {
      pointer = point;
      session.hold(start && { ...drawn(session.label, { box: box(point) }), id: "" });
    },
    up({ point, isFirm }) {
      if (start && isFirm) {
        finish(point);
      }
    },
    cancel() {
      start = null;
      session.hold(null);
    },
    draw(context) {
      if (pointer && !start) {
        // Lines through the pointer, by which a corner is aimed.
        const { visible, pixelSize, frame } = camera;
        const x = Math.round((pointer[0] - visible.x) * pixelSize) + 0.5;
        const y = Math.round((pointer[1] - visible.y) * pixelSize) + 0.5;
        for (const [style, dash] of /** @type {[string, number[]][]} */ ([["rgb(0 0 0 / 0.6)", []], ["#fff", [4, 4]]])) {
          context.strokeStyle = style;
          context.lineWidth = 1;
          context.setLineDash(dash);
          context.beginPath();
          context.moveTo(0, y);
          context.lineTo(frame.width, y);
          context.moveTo(x, 0);
          context.lineTo(x, frame.height);
          context.stroke();
        }
        context.setLineDash([]);
      }
    },
  };
}

/** Put a box into the middle of what is seen, for keys to move. @param {import("../session.js").Session} session @param {import("../../result/camera.js").Camera} camera */
export function addInMiddle(session, camera) {
  const { x, y, width, height } = camera.visible;
  const part = (/** @type {number} */ share) => /** @type {Point} */ ([x + width * share, y + height * share]);
  session.tool = "select";
  session.add({ box: boxBetween(rounded(part(0.375)), rounded(part(0.625)), session.size) });
}

/** @param {Point} point @returns {Point} */
const rounded = ([x, y]) => [Math.round(x), Math.round(y)];
