/** Moves the camera by wheel, hand, two fingers, keys and buttons. */

/** @typedef {import("./camera.js").Camera} Camera */

const KEY_MOVES = 60; // CSS pixels
const WHEEL_STEP = 0.0022; // in powers of e, for each CSS pixel that the wheel scrolls
const LINE = 16; // CSS pixels, for mice that count in lines

/** @type {Record<string, (camera: Camera) => void>} */
const KEYS = {
  "+": (camera) => camera.zoomBy(1),
  "=": (camera) => camera.zoomBy(1),
  "-": (camera) => camera.zoomBy(-1),
  0: (camera) => camera.fit(),
  1: (camera) => camera.showPixels(),
  ArrowLeft: (camera) => camera.moveBy(KEY_MOVES, 0),
  ArrowRight: (camera) => camera.moveBy(-KEY_MOVES, 0),
  ArrowUp: (camera) => camera.moveBy(0, KEY_MOVES),
  ArrowDown: (camera) => camera.moveBy(0, -KEY_MOVES),
};

/** @param {HTMLElement} frame @param {Camera} camera */
export function moveByHand(frame, camera) {
  frame.tabIndex = 0;
  frame.role = "group";
  frame.ariaLabel = "Picture. Plus and minus zoom, arrow keys pan, 0 fits it to the window, 1 shows actual pixels.";

  frame.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey && event.target === frame) {
      if (event.key.startsWith("Arrow") && camera.zoom === 1) {
        return; // the arrows go on scrolling the page
      }
      event.preventDefault();
      act(camera);
    }
  });

  frame.addEventListener(
    "wheel",
    (event) => {
      // Who scrolls the page past the picture doesn't mean to zoom: that takes Ctrl (which a pinch on a touchpad
      // sends too), a picture that was clicked, or one that is zoomed already.
      const meant = event.ctrlKey || event.metaKey || camera.zoom > 1 || document.activeElement === frame;
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
      if (!meant || (pixels > 0 && camera.zoom === 1 && !event.ctrlKey)) {
        return;
      }
      event.preventDefault();
      camera.scaleBy(Math.exp(-pixels * WHEEL_STEP * (event.ctrlKey ? 4 : 1)), place(frame, event));
    },
    { passive: false },
  );

  frame.addEventListener("dblclick", (event) => {
    if (camera.zoom > 1) {
      camera.fit();
    } else {
      camera.zoomBy(2, place(frame, event));
    }
  });

  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();

  frame.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, place(frame, event));
  });

  frame.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) {
      return;
    }
    const now = place(frame, event);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      camera.scaleBy(distance(now, other) / Math.max(distance(before, other), 1), other);
    } else if (camera.zoom > 1) {
      if (!frame.classList.contains("panning") && distance(before, now) < 4) {
        return; // a click with an unsteady hand
      }
      frame.classList.add("panning");
      frame.setPointerCapture(event.pointerId);
      camera.moveBy(now.x - before.x, now.y - before.y);
    }
    fingers.set(event.pointerId, now);
  });

  for (const end of /** @type {const} */ (["pointerup", "pointercancel", "pointerleave"])) {
    frame.addEventListener(end, (event) => {
      fingers.delete(event.pointerId);
      // Not before the click that may follow.
      setTimeout(() => frame.classList.remove("panning"));
    });
  }

  // The click that ends a pan chooses nothing.
  frame.addEventListener(
    "click",
    (event) => {
      if (frame.classList.contains("panning")) {
        event.stopPropagation();
      }
    },
    { capture: true },
  );
}

/** @param {HTMLElement} tools @param {Camera} camera */
export function moveByTools(tools, camera) {
  /** @type {Record<string, () => void>} */
  const acts = {
    in: () => camera.zoomBy(1),
    out: () => camera.zoomBy(-1),
    fit: () => camera.fit(),
  };
  const level = /** @type {HTMLOutputElement} */ (tools.querySelector("output"));
  tools.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button) {
      acts[button.name]?.();
    }
  });
  camera.addEventListener("change", () => {
    level.value = `${Math.round(camera.pixelSize * 100)}%`;
  });
  tools.hidden = false;
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
