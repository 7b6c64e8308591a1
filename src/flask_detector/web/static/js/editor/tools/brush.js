/** Paints pixels to the selected object, or to a new one; erases them from it. */

import { extentOf, brushed, rleOf } from "../regions.js";
import { withStroke } from "../objects.js";

/** @typedef {import("../geometry.js").Point} Point */

/**
 * @param {import("../session.js").Session} session
 * @param {import("../../result/camera.js").Camera} camera
 * @param {import("../colours.js").Colours} colours
 * @param {boolean} isEraser
 * @returns {import("../pointers.js").Tool}
 */
export function brushTool(session, camera, colours, isEraser) {
  /** @type {Point[] | null} */
  let way = null;
  /** @type {Point | null} */
  let pointer = null;

  const repaint = () => session.hold(null);

  function finish() {
    const { selected, size } = session;
    const stroke = brushed(/** @type {Point[]} */ (way), session.brushSize / 2 / camera.pixelSize, size);
    way = null;
    if (!selected && !isEraser && stroke.tops.length) {
      session.add({ mask: rleOf(stroke, size), box: extentOf(stroke) });
    } else if (selected && (stroke.tops.length > 0 && !(isEraser && !selected.mask && !selected.polygons))) {
      const object = withStroke(selected, stroke, isEraser, size);
      object ? session.replace(object) : session.remove();
    }
    repaint();
  }

  return {
    cursor: "none",
    down({ point }) {
      pointer = point;
      way = [point];
      repaint();
      return true;
    },
    move({ point, event }) {
      pointer = point;
      if (way) {
        const frame = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
        const { visible, pixelSize } = camera;
        // All places on the way, not only the one at this frame.
        for (const { clientX, clientY } of event.getCoalescedEvents?.() ?? [event]) {
          way.push([visible.x + (clientX - frame.left) / pixelSize, visible.y + (clientY - frame.top) / pixelSize]);
        }
      }
      repaint();
    },
    up: finish,
    cancel() {
      way = null;
      repaint();
    },
    draw(context) {
      const { visible, pixelSize } = camera;
      const place = (/** @type {Point} */ [x, y]) => /** @type {Point} */ ([(x - visible.x) * pixelSize, (y - visible.y) * pixelSize]);
      if (way) {
        const line = new Path2D();
        way.map(place).forEach(([x, y]) => line.lineTo(x, y));
        line.lineTo(...place(/** @type {Point} */ (way.at(-1))));
        context.lineCap = "round";
        context.lineWidth = session.brushSize;
        context.strokeStyle = isEraser ? "rgb(255 255 255 / 0.6)" : colours.css(session.selected?.label ?? session.label, 0.5);
        context.stroke(line);
        context.lineCap = "butt";
      }
      if (pointer) {
        const [x, y] = place(pointer);
        for (const [style, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 0.7)", 3], ["#fff", 1.25]])) {
          context.beginPath();
          context.arc(x, y, session.brushSize / 2, 0, 2 * Math.PI);
          context.strokeStyle = style;
          context.lineWidth = width;
          context.stroke();
        }
      }
    },
  };
}
