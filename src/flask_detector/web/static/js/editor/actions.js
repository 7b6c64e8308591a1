/** What keys and buttons do. */

import { moved, polygonsOf, withBox } from "./objects.js";
import { boxBetween } from "./geometry.js";
import { addInMiddle } from "./tools/box.js";
import { insertCorner, moveCorner, removeCorner, selectNextCorner } from "./tools/select.js";

/** @typedef {import("./session.js").Session} Session */

const FAR = 10; // pixels of the picture, with Ctrl
const PAN = 60; // CSS pixels
const BRUSH_STEP = 1.25;
const BRUSH_LIMITS = /** @type {const} */ ([2, 200]); // CSS pixels across

/**
 * @param {object} parts
 * @param {Session} parts.session
 * @param {import("../result/camera.js").Camera} parts.camera
 * @param {HTMLElement} parts.frame
 * @param {import("./tools/polygon.js").PolygonTool} parts.polygon
 * @param {() => void} parts.cancel what the tool has begun
 * @param {() => void} parts.openLabels
 * @param {() => void} parts.makeMask of the selected object's box, by the model
 * @param {() => void} parts.showHelp
 * @param {(to: "previous" | "next" | "done") => void} parts.leave
 * @returns {(action: string, event?: KeyboardEvent) => boolean} false where a key keeps its usual meaning
 */
export function actionsOf({ session, camera, frame, polygon, cancel, openLabels, makeMask, showHelp, leave }) {
  /** @param {number} dx @param {number} dy @param {boolean} isResized */
  function nudge(dx, dy, isResized) {
    const { selected, size } = session;
    if (!selected) {
      camera.moveBy(-dx * PAN, -dy * PAN);
    } else if (session.corner && !isResized) {
      moveCorner(session, dx, dy);
    } else {
      const [x1, y1, x2, y2] = selected.box;
      const resized = () =>
        withBox(selected, boxBetween([x1, y1], [Math.max(x2 + dx, x1 + 1), Math.max(y2 + dy, y1 + 1)], size), size);
      session.replace(isResized ? resized() : moved(selected, dx, dy, size), `${isResized ? "resize" : "move"} ${selected.id}`);
    }
  }

  /** @param {number} step @param {KeyboardEvent | undefined} event */
  const selectNext = (step, event) => session.selectNext(step) || !event; // past the last one Tab leaves the picture

  /** @param {number} factor */
  function resizeBrush(factor) {
    session.brushSize = Math.min(Math.max(session.brushSize * factor, BRUSH_LIMITS[0]), BRUSH_LIMITS[1]);
    session.use(session.tool);
  }

  function escape() {
    if (session.tool !== "select") {
      cancel();
      session.use("select");
    } else if (session.preview) {
      cancel();
    } else if (session.corner) {
      session.selectCorner(null);
    } else if (session.selectedId) {
      session.select(null);
    } else {
      /** @type {HTMLElement | null} */ (document.querySelector(".editor [data-action=done]"))?.focus();
    }
  }

  function enter() {
    if (session.tool === "box") {
      addInMiddle(session, camera);
    } else if (session.tool === "polygon") {
      polygon.close();
    } else {
      openLabels();
    }
  }

  function remove() {
    if (session.tool === "polygon" && !polygon.isEmpty()) {
      polygon.back();
    } else if (session.corner) {
      removeCorner(session, session.corner);
    } else {
      session.remove();
    }
  }

  function duplicate() {
    const { selected, size } = session;
    if (selected) {
      const { box, mask, polygons, label } = moved(selected, FAR, FAR, size);
      session.add({ box, mask, polygons, label });
    }
  }

  /** @type {Record<string, (event?: KeyboardEvent) => boolean | void>} */
  const acts = {
    select: () => session.use("select"),
    box: () => session.use("box"),
    polygon: () => session.use("polygon"),
    brush: () => session.use("brush"),
    eraser: () => session.use("eraser"),
    thinner: () => resizeBrush(1 / BRUSH_STEP),
    thicker: () => resizeBrush(BRUSH_STEP),
    duplicate,
    mask: makeMask,
    next: (event) => selectNext(1, event),
    previous: (event) => selectNext(-1, event),
    escape,
    alone: () => session.showAlone(),
    nextCorner: () => selectNextCorner(session, 1),
    previousCorner: () => selectNextCorner(session, -1),
    digit: (event) => {
      const label = session.classes[Number(event?.key) - 1];
      if (label !== undefined) {
        session.relabel(label);
      }
    },
    enter,
    relabel: openLabels,
    insert: () => {
      if (session.corner) {
        insertCorner(session);
      }
    },
    remove,
    verify: () => session.verify(),
    undo: () => session.history.undo(),
    redo: () => session.history.redo(),
    back: () => leave("previous"),
    forward: () => leave("next"),
    closer: () => camera.zoomBy(1),
    farther: () => camera.zoomBy(-1),
    fit: () => camera.fit(),
    help: showHelp,
    done: () => leave("done"),
  };

  return (action, event) => {
    if (action === "move" || action === "resize") {
      const far = event?.ctrlKey || event?.metaKey ? FAR : 1;
      const dx = { ArrowLeft: -far, ArrowRight: far }[event?.key ?? ""] ?? 0;
      const dy = { ArrowUp: -far, ArrowDown: far }[event?.key ?? ""] ?? 0;
      nudge(dx, dy, action === "resize");
      return true;
    }
    const result = acts[action]?.(event);
    if (!event && session.tool !== "select") {
      frame.focus({ preventScroll: true });
    }
    return result !== false;
  };
}
