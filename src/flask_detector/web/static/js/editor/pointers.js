/** One pointer is the tool's; two fingers, the wheel and the middle button move the picture. */

/** @typedef {import("../result/camera.js").Camera} Camera */
/** @typedef {import("./geometry.js").Point} Point */
/**
 * What a tool is told, in pixels of the picture; `reach` is by how much the pointer may miss, in CSS pixels.
 *
 * @typedef {{point: Point, reach: number, isFirm: boolean, event: PointerEvent}} Touch isFirm: has moved so far that no click is meant
 */
/**
 * @typedef {object} Tool
 * @property {string} cursor
 * @property {(touch: Touch) => boolean} down false where it has no use for the pointer: then it moves the picture
 * @property {(touch: Touch) => void} move also while no button is pressed
 * @property {(touch: Touch) => void} up
 * @property {() => void} cancel
 * @property {(point: Point, reach: number) => void} [tap] a click that it had no use for when it began
 * @property {(point: Point, reach: number) => void} [twice] a double click
 * @property {(context: CanvasRenderingContext2D) => void} [draw]
 */

import { reachOf } from "./handles.js";

const WHEEL_STEP = 0.0022; // in powers of e, for each CSS pixel that the wheel scrolls
const LINE = 16; // CSS pixels, for mice that count in lines
const STEADY = { mouse: 3, pen: 5, touch: 8 }; // CSS pixels that a click may move

/** @param {HTMLElement} frame @param {Camera} camera @param {() => Tool} tool the one in use */
export function connectPointers(frame, camera, tool) {
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  /** @type {{use: "tool" | "pan" | "pinch", tool: Tool, start: {x: number, y: number}, isFirm: boolean} | null} */
  let gesture = null;

  /** @param {PointerEvent} event @returns {Touch} */
  const touch = (event) => ({
    point: pointAt(place(frame, event), camera),
    reach: reachOf(event.pointerType),
    isFirm: gesture?.isFirm ?? false,
    event,
  });

  frame.addEventListener("pointerdown", (event) => {
    const at = place(frame, event);
    fingers.set(event.pointerId, at);
    frame.setPointerCapture(event.pointerId);
    if (fingers.size === 2) {
      if (gesture?.use === "tool") {
        gesture.tool.cancel();
      }
      gesture = { use: "pinch", tool: tool(), start: at, isFirm: true };
    } else if (fingers.size === 1) {
      const isTool = event.button === 0 && tool().down(touch(event));
      gesture = { use: isTool ? "tool" : "pan", tool: tool(), start: at, isFirm: false };
    }
  });

  frame.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    const now = place(frame, event);
    if (!before || !gesture) {
      tool().move(touch(event));
      return;
    }
    const steady = STEADY[/** @type {keyof typeof STEADY} */ (event.pointerType)] ?? STEADY.mouse;
    gesture.isFirm ||= distance(gesture.start, now) > steady;
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (gesture.use === "tool") {
      gesture.tool.move(touch(event));
    } else if (gesture.use === "pan" && gesture.isFirm) {
      camera.moveBy(now.x - before.x, now.y - before.y);
    } else if (gesture.use === "pinch" && other) {
      camera.scaleBy(distance(now, other) / Math.max(distance(before, other), 1), other);
      camera.moveBy((now.x - before.x) / 2, (now.y - before.y) / 2);
    }
    fingers.set(event.pointerId, now);
  });

  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
    frame.addEventListener(end, (event) => {
      const { point, reach, isFirm } = touch(event);
      if (fingers.delete(event.pointerId) && gesture?.use === "tool") {
        end === "pointerup" ? gesture.tool.up(touch(event)) : gesture.tool.cancel();
      } else if (gesture?.use === "pan" && !isFirm && end === "pointerup") {
        gesture.tool.tap?.(point, reach);
      }
      if (!fingers.size) {
        gesture = null;
      }
    });
  }

  frame.addEventListener("dblclick", (event) => {
    tool().twice?.(pointAt(place(frame, event), camera), reachOf("mouse"));
  });
  frame.addEventListener("contextmenu", (event) => event.preventDefault());
  frame.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
      camera.scaleBy(Math.exp(-pixels * WHEEL_STEP * (event.ctrlKey ? 4 : 1)), place(frame, event));
    },
    { passive: false },
  );
}

/** @param {{x: number, y: number}} at in the frame @param {Camera} camera @returns {Point} */
function pointAt({ x, y }, { visible, pixelSize }) {
  return [visible.x + x / pixelSize, visible.y + y / pixelSize];
}

/** @param {HTMLElement} frame @param {MouseEvent} event */
function place(frame, event) {
  const { left, top } = frame.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
