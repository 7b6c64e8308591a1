/**
 * Draws the objects on two canvases over the picture: all of them on one, which stays as it is while the hand moves
 * something, and on the other the selected one with its handles.
 */

import { detailAt } from "../result/masks.js";
import { placeLabels } from "../result/labels.js";
import { forCorners } from "./geometry.js";
import { handlesOf } from "./handles.js";
import { maskOf, polygonsOf } from "./objects.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./objects.js").Annotation} Annotation */
/** @typedef {import("../result/camera.js").Camera} Camera */

const MOST_TAGS = 60; // names at once; more hide what they name
const TAG_HEIGHT = 20;
const FONT = "600 12px system-ui, sans-serif";
const HALO = "rgb(0 0 0 / 0.5)";

export class Painter {
  #waiting = false;
  #isStale = true;
  /** @type {WeakMap<Annotation, {level: number, path: Path2D}>} */
  #paths = new WeakMap();
  /** @type {(context: CanvasRenderingContext2D) => void} what the tool draws, in CSS pixels of the frame */
  drawTool = () => {};

  /** @param {HTMLElement} frame @param {Session} session @param {Camera} camera @param {import("./colours.js").Colours} colours */
  constructor(frame, session, camera, colours) {
    this.session = session;
    this.camera = camera;
    this.colours = colours;
    this.all = canvasOn(frame);
    this.top = canvasOn(frame);
    session.addEventListener("change", () => this.repaint());
    session.addEventListener("preview", () => this.repaint(false));
    camera.addEventListener("change", () => this.repaint());
  }

  /** Draw with the next frame. @param {boolean} [isStale] whether objects that aren't selected have changed */
  repaint(isStale = true) {
    this.#isStale ||= isStale;
    if (!this.#waiting) {
      this.#waiting = true;
      requestAnimationFrame(() => {
        this.#waiting = false;
        this.#paint();
      });
    }
  }

  #paint() {
    const { session } = this;
    if (this.#isStale) {
      this.#isStale = false;
      this.#clear(this.all);
      const others = session.objects.filter(({ id }) => id !== session.selectedId);
      if (!session.isAlone || !session.selectedId) {
        const seen = others.filter((object) => this.#isSeen(object));
        seen.forEach((object) => this.#drawObject(this.all, object, false));
        this.#drawTags(seen);
      }
    }
    this.#clear(this.top);
    const pointed = session.objects.find(({ id }) => id === session.pointedId);
    if (pointed && pointed.id !== session.selectedId && !session.isAlone) {
      this.#drawObject(this.top, pointed, true);
      this.#drawTag(this.top, pointed, this.#tagPlace(pointed));
    }
    const held = session.preview ?? session.selected;
    if (held) {
      this.#drawObject(this.top, held, true);
      this.#drawTag(this.top, held, this.#tagPlace(held));
      if (session.tool === "select" && !session.isReadonly) {
        this.#drawHandles(held);
      }
    }
    this.drawTool(this.top);
  }

  /** @param {CanvasRenderingContext2D} context */
  #clear(context) {
    const { width, height } = this.camera.frame;
    const scale = devicePixelRatio;
    const { canvas } = context;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.font = FONT;
    context.lineJoin = "round";
  }

  /** @param {Annotation} object */
  #isSeen({ box: [x1, y1, x2, y2] }) {
    const { x, y, width, height } = this.camera.visible;
    return x2 >= x && y2 >= y && x1 <= x + width && y1 <= y + height;
  }

  /** @param {CanvasRenderingContext2D} context @param {Annotation} object @param {boolean} isStrong */
  #drawObject(context, object, isStrong) {
    const { x1, y1, x2, y2 } = this.#onFrame(object);
    const colour = this.colours.css(object.label);
    const path = this.#pathOf(object);
    if (path) {
      const { x, y, scale } = this.camera.imageTransform();
      const outline = new Path2D();
      outline.addPath(path, new DOMMatrix([scale, 0, 0, scale, x, y]));
      context.fillStyle = this.colours.css(object.label, isStrong ? 0.45 : 0.3);
      context.fill(outline, "evenodd");
      context.strokeStyle = colour;
      context.lineWidth = isStrong ? 2 : 1;
      context.stroke(outline);
      if (!isStrong) {
        return;
      }
      context.lineWidth = 1;
      context.setLineDash([3, 4]);
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
      context.setLineDash([]);
      return;
    }
    context.strokeStyle = HALO;
    context.lineWidth = isStrong ? 5 : 3.5;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.strokeStyle = colour;
    context.lineWidth = isStrong ? 2.5 : 1.75;
    context.setLineDash(object.source === "model" && !object.verified ? [6, 4] : []);
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.setLineDash([]);
    if (isStrong) {
      context.fillStyle = this.colours.css(object.label, 0.12);
      context.fillRect(x1, y1, x2 - x1, y2 - y1);
    }
  }

  /** Return an object's outlines in pixels of the picture; null for a box. @param {Annotation} object */
  #pathOf(object) {
    const detail = detailAt(this.camera.pixelSize);
    const level = object.polygons ? 0 : detail.level;
    const known = this.#paths.get(object);
    if (known?.level === level || (!object.mask && !object.polygons)) {
      return known?.path ?? null;
    }
    const path = new Path2D(object.polygons ? textOf(object.polygons) : maskOf(object, this.session.size)?.path(detail));
    this.#paths.set(object, { level, path });
    return path;
  }

  /** Where an object's box lies in the frame. @param {Annotation} object */
  #onFrame({ box: [left, top, right, bottom] }) {
    const { visible, pixelSize } = this.camera;
    return {
      x1: (left - visible.x) * pixelSize,
      y1: (top - visible.y) * pixelSize,
      x2: (right - visible.x) * pixelSize,
      y2: (bottom - visible.y) * pixelSize,
    };
  }

  /** @param {Annotation[]} objects */
  #drawTags(objects) {
    if (objects.length > MOST_TAGS) {
      return;
    }
    const labels = objects.map((object) => {
      const { x1, y1, x2, y2 } = this.#onFrame(object);
      return { box: { left: x1, top: y1, right: x2, bottom: y2 }, width: this.#tagWidth(object), height: TAG_HEIGHT };
    });
    placeLabels(labels, this.camera.frame).forEach((place, i) => place && this.#drawTag(this.all, objects[i], place));
  }

  /** @param {Annotation} object */
  #tagWidth({ label }) {
    return this.all.measureText(label).width + 12;
  }

  /** Above the box, or below its upper border where there is no room. @param {Annotation} object */
  #tagPlace(object) {
    const { x1, y1 } = this.#onFrame(object);
    const offset = object.id === this.session.selectedId ? HANDLE + 2 : 0;
    const y = y1 - TAG_HEIGHT - offset;
    const x = Math.min(Math.max(x1, 0), this.camera.frame.width - this.#tagWidth(object));
    return { x, y: y < 0 ? Math.max(y1 + offset, 0) : y };
  }

  /** @param {CanvasRenderingContext2D} context @param {Annotation} object @param {{x: number, y: number}} place */
  #drawTag(context, object, { x, y }) {
    context.fillStyle = this.colours.css(object.label);
    context.beginPath();
    context.roundRect(x, y, this.#tagWidth(object), TAG_HEIGHT, 4);
    context.fill();
    context.fillStyle = this.colours.text(object.label);
    context.textBaseline = "middle";
    context.fillText(object.label, x + 6, y + TAG_HEIGHT / 2 + 0.5);
  }

  /** @param {Annotation} object */
  #drawHandles(object) {
    const context = this.top;
    const { visible, pixelSize } = this.camera;
    const isCoarse = matchMedia("(pointer: coarse)").matches;
    const half = isCoarse ? HANDLE + 2 : HANDLE;
    context.fillStyle = "#fff";
    context.strokeStyle = "rgb(0 0 0 / 0.75)";
    context.lineWidth = 1.25;
    for (const { x, y } of handlesOf(object, this.camera)) {
      context.beginPath();
      context.roundRect(x - half, y - half, 2 * half, 2 * half, 2);
      context.fill();
      context.stroke();
    }
    const polygons = polygonsOf(object);
    const { corner: current } = this.session;
    forCorners(polygons ?? [], (at, [px, py]) => {
      const isCurrent =
        current && at.part === current.part && at.ring === current.ring && at.corner === current.corner;
      context.beginPath();
      context.arc((px - visible.x) * pixelSize, (py - visible.y) * pixelSize, isCurrent ? 7 : half - 1, 0, 2 * Math.PI);
      context.fillStyle = isCurrent ? this.colours.css(object.label) : "#fff";
      context.fill();
      context.stroke();
    });
  }
}

const HANDLE = 5; // CSS pixels from a handle's middle to its sides

/** @param {import("./geometry.js").Polygons} polygons */
function textOf(polygons) {
  return polygons.flat().map((ring) => `M${ring.join("L")}Z`).join("");
}

/** @param {HTMLElement} frame */
function canvasOn(frame) {
  const canvas = document.createElement("canvas");
  canvas.className = "editor-canvas";
  frame.append(canvas);
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
