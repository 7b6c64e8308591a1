/** Selects objects, moves them, their sides and their corners. */

import {
  cornerAt,
  movedBox,
  movedPolygons,
  nearestCorner,
  resizedBox,
  withCornerAfter,
  withCornerAt,
  withoutCorner,
} from "../geometry.js";
import { holdAt, smallestAt } from "../handles.js";
import { changed, moved, polygonsOf, withBox, withPolygons } from "../objects.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../objects.js").Annotation} Annotation */
/** @typedef {import("../geometry.js").Point} Point */

const CURSORS = { nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize", n: "ns-resize", s: "ns-resize", e: "ew-resize", w: "ew-resize" };

/**
 * @param {Session} session
 * @param {import("../../result/camera.js").Camera} camera
 * @param {() => void} openLabels
 * @returns {import("../pointers.js").Tool}
 */
export function selectTool(session, camera, openLabels) {
  const { size } = session;
  /** @type {{object: Annotation, hold: import("../handles.js").Hold, start: Point} | null} */
  let held = null;
  /** @type {Annotation | null} what a click selects */
  let clicked = null;

  /** @param {Point} point @param {number} reach */
  function find(point, reach) {
    const { selected } = session;
    const hold = selected && !session.isReadonly ? holdAt(selected, point, camera, reach, size) : null;
    const seen = session.isAlone && selected ? [selected] : session.objects;
    const smallest = smallestAt(seen, point, Math.min(reach, 8) / camera.pixelSize, size);
    return { selected, hold, smallest };
  }

  /** @param {Point} point whole pixels from where the hand began @param {boolean} isDone */
  function dragged(point, isDone) {
    const { object, hold, start } = /** @type {NonNullable<typeof held>} */ (held);
    const dx = Math.round(point[0] - start[0]);
    const dy = Math.round(point[1] - start[1]);
    const polygons = polygonsOf(object);
    if (hold.kind === "handle") {
      return withBox(object, resizedBox(object.box, hold.handle, dx, dy, size), size);
    }
    if (hold.kind === "inside") {
      if (isDone || !polygons) {
        return moved(object, dx, dy, size);
      }
      // Pixels take long to move: while the hand moves them, their outlines do.
      const box = movedBox(object.box, dx, dy, size);
      const outlines = movedPolygons(polygons, box[0] - object.box[0], box[1] - object.box[1]);
      return changed(object, { box, mask: undefined, polygons: outlines });
    }
    const outlines = /** @type {import("../geometry.js").Polygons} */ (polygons);
    const to = tenths(point);
    return hold.kind === "corner"
      ? withPolygons(object, withCornerAt(outlines, hold.at, to), size)
      : withPolygons(object, withCornerAfter(outlines, hold.at, to), size);
  }

  return {
    cursor: "default",
    down({ point, reach, event }) {
      const { selected, hold, smallest } = find(point, reach);
      clicked = smallest;
      // A smaller object within the selected one is what is meant, unless the hand is on a handle or an outline.
      const isTaken = hold && (hold.kind !== "inside" || smallest === selected || !smallest);
      if (selected && hold && isTaken) {
        held = { object: selected, hold, start: point };
        if (hold.kind === "corner") {
          session.selectCorner(hold.at);
        }
        return true;
      }
      if (event.pointerType === "touch" || session.isReadonly) {
        return false; // a finger that moves, moves the picture
      }
      if (smallest) {
        session.select(smallest.id);
        held = { object: smallest, hold: { kind: "inside" }, start: point };
      }
      return Boolean(smallest);
    },
    move({ point, reach, isFirm, event }) {
      if (held) {
        if (isFirm) {
          session.hold(dragged(point, false));
        }
        return;
      }
      const { selected, hold, smallest } = find(point, reach);
      session.point(smallest?.id ?? null);
      const frame = /** @type {HTMLElement} */ (event.currentTarget);
      frame.style.cursor =
        hold?.kind === "handle"
          ? CURSORS[hold.handle]
          : hold?.kind === "corner"
            ? "move"
            : hold?.kind === "edge"
              ? "copy"
              : smallest
                ? smallest === selected ? "move" : "pointer"
                : "";
    },
    up({ point, isFirm }) {
      const taken = held;
      if (!taken) {
        return;
      }
      if (isFirm || taken.hold.kind === "edge") {
        const object = dragged(point, true);
        const { hold } = taken;
        held = null;
        session.replace(object);
        if (hold.kind === "edge") {
          session.selectCorner({ ...hold.at, corner: hold.at.corner + 1 });
        }
      } else {
        held = null;
        if (taken.hold.kind === "inside") {
          session.select(clicked?.id ?? null);
        }
      }
    },
    cancel() {
      held = null;
      session.hold(null);
    },
    tap(point, reach) {
      session.select(find(point, reach).smallest?.id ?? null);
    },
    twice(point, reach) {
      const { selected } = session;
      const polygons = selected && polygonsOf(selected);
      const at = polygons && nearestCorner(polygons, point, reach / camera.pixelSize);
      if (selected && at && !session.isReadonly) {
        removeCorner(session, at);
      } else if (selected && !session.isReadonly) {
        openLabels();
      }
    },
  };
}

/** @param {Session} session @param {import("../geometry.js").CornerAt} at */
export function removeCorner(session, at) {
  const object = /** @type {Annotation} */ (session.selected);
  const left = withoutCorner(/** @type {import("../geometry.js").Polygons} */ (polygonsOf(object)), at);
  session.corner = null;
  if (left) {
    session.replace(withPolygons(object, left, session.size));
  } else {
    session.remove();
  }
}

/** @param {Session} session @param {number} dx @param {number} dy */
export function moveCorner(session, dx, dy) {
  const object = /** @type {Annotation} */ (session.selected);
  const at = /** @type {import("../geometry.js").CornerAt} */ (session.corner);
  const polygons = /** @type {import("../geometry.js").Polygons} */ (polygonsOf(object));
  const [x, y] = cornerAt(polygons, at);
  session.replace(withPolygons(object, withCornerAt(polygons, at, [x + dx, y + dy]), session.size), `corner ${object.id}`);
}

/** @param {Session} session */
export function insertCorner(session) {
  const object = /** @type {Annotation} */ (session.selected);
  const at = /** @type {import("../geometry.js").CornerAt} */ (session.corner);
  const polygons = /** @type {import("../geometry.js").Polygons} */ (polygonsOf(object));
  const ring = polygons[at.part][at.ring];
  const [[x1, y1], [x2, y2]] = [ring[at.corner], ring[(at.corner + 1) % ring.length]];
  session.replace(withPolygons(object, withCornerAfter(polygons, at, tenths([(x1 + x2) / 2, (y1 + y2) / 2])), session.size));
  session.selectCorner({ ...at, corner: at.corner + 1 });
}

/** Select the next corner of the selected object's outlines. @param {Session} session @param {number} step */
export function selectNextCorner(session, step) {
  const polygons = session.selected && polygonsOf(session.selected);
  if (polygons) {
    const all = polygons.flatMap((rings, part) =>
      rings.flatMap((points, ring) => points.map((_, corner) => ({ part, ring, corner }))),
    );
    const now = all.findIndex((at) => JSON.stringify(at) === JSON.stringify(session.corner));
    session.selectCorner(all[(now + step + all.length) % all.length] ?? null);
  }
}

/** @param {Point} point @returns {Point} */
const tenths = ([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
