/** Boxes and masks over the picture, as one SVG whose view box is what the camera shows. */

import { detailAt, Mask } from "./masks.js";

/** @typedef {import("./view.js").Shown} Shown */
/** @typedef {import("./camera.js").Camera} Camera */
/** @typedef {import("./main.js").Result} Result */
/** @typedef {import("./masks.js").Part} Part */
/** @typedef {import("./masks.js").Detail} Detail */

const SVG = "http://www.w3.org/2000/svg";
const THINNEST = 0.01; // pixels of the picture: SVG draws nothing of a rectangle without width
const NEAR = 4; // CSS pixels by which a pointer may miss a mask
const AT_ONCE = 6; // milliseconds of a frame that finer outlines may take

export class Shapes {
  /** @type {Map<number, Outlined>} by the number of the instance */
  #outlined = new Map();
  #waiting = false;
  #moved = false;

  /** @param {HTMLElement} overlay @param {Result} result @param {Shown} view @param {Camera} camera */
  constructor(overlay, result, view, camera) {
    this.result = result;
    this.view = view;
    this.camera = camera;
    this.svg = element("svg", { class: "result-shapes", "aria-hidden": "true" });
    this.groups = result.instances.map((instance, i) => group(instance, i, result.colours[instance.label]));
    // Small ones last, so that one within another can be pointed at.
    const order = [...this.groups].sort((a, b) => area(result, b) - area(result, a));
    this.svg.append(...order);
    overlay.append(this.svg);

    for (const kind of /** @type {const} */ (["pointerover", "pointermove"])) {
      this.svg.addEventListener(kind, (event) => view.point(this.#indexAt(event)));
    }
    this.svg.addEventListener("pointerleave", () => view.point(null));
    this.svg.addEventListener("click", (event) => {
      const index = this.#indexAt(event);
      if (index !== null || view.chosen !== null) {
        view.choose(index);
      }
    });

    const show = () => {
      this.groups.forEach((g, i) => g.toggleAttribute("hidden", !view.shows(i)));
      this.#outline(AT_ONCE);
    };
    const light = () => {
      overlay.classList.toggle("has-lit", view.lit !== null);
      this.groups.forEach((g, i) => g.classList.toggle("lit", i === view.lit));
    };
    const look = () => {
      const { x, y, width, height } = camera.visible;
      this.svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
      this.#moved = true;
      this.#outline(AT_ONCE);
      this.#goOn();
    };
    look();
    show();
    this.#outline(Infinity);
    view.addEventListener("change", show);
    view.addEventListener("light", light);
    camera.addEventListener("change", look);
  }

  /**
   * Outline the masks of what is in sight as finely as it is looked at. What takes longer goes on in the next frames,
   * and finer outlines than there are wait until the picture rests.
   *
   * @param {number} milliseconds that it may take
   */
  #outline(milliseconds) {
    const end = performance.now() + milliseconds;
    const { pixelSize, zoom, visible } = this.camera;
    const detail = detailAt(pixelSize);
    const detailFromAfar = detailAt(pixelSize / zoom);
    const seen = {
      left: visible.x,
      top: visible.y,
      right: visible.x + visible.width,
      bottom: visible.y + visible.height,
    };
    for (const [i, g] of this.groups.entries()) {
      const { mask } = this.result.instances[i];
      if (!mask || !this.view.shows(i)) {
        continue;
      }
      const outlined = this.#outlined.get(i) ?? new Outlined(new Mask(mask), g);
      this.#outlined.set(i, outlined);
      outlined.draw(seen, detail, detailFromAfar, this.#moved);
      if (performance.now() > end) {
        this.#goOn();
        return;
      }
    }
  }

  #goOn() {
    if (!this.#waiting) {
      this.#waiting = true;
      requestAnimationFrame(() => {
        this.#waiting = false;
        if (this.#moved) {
          this.#moved = false;
          this.#goOn();
        } else {
          this.#outline(AT_ONCE);
        }
      });
    }
  }

  /** Return the instance that an event is about: the smallest mask near it, else the smallest box. @param {MouseEvent} event */
  #indexAt(event) {
    const { left, top } = this.svg.getBoundingClientRect();
    const { pixelSize, visible } = this.camera;
    const point = {
      x: visible.x + (event.clientX - left) / pixelSize,
      y: visible.y + (event.clientY - top) / pixelSize,
    };
    let smallest = Infinity;
    let index = null;
    for (const [i, { mask }] of this.#outlined) {
      const area = this.result.instances[i].area ?? Infinity;
      if (area < smallest && this.view.shows(i) && mask.isNear(point, NEAR / pixelSize)) {
        smallest = area;
        index = i;
      }
    }
    const g = event.target instanceof Element ? event.target.closest("g") : null;
    return index ?? (g ? Number(g.dataset.index) : null);
  }
}

/** A mask, and the outline that is drawn of it now. */
class Outlined {
  #level = NaN;
  /** @type {Part} */
  #window = { left: 0, top: 0, right: 0, bottom: 0 };

  /** @param {Mask} mask @param {SVGElement} g */
  constructor(mask, g) {
    this.mask = mask;
    this.path = element("path", { class: "result-mask", "fill-rule": "evenodd" });
    g.prepend(this.path);
  }

  /**
   * @param {Part} seen
   * @param {Detail} detail
   * @param {Detail} detailFromAfar what will do when the whole picture is seen
   * @param {boolean} isMoving whether an outline will do that is as fine as it was before
   */
  draw(seen, detail, detailFromAfar, isMoving) {
    const { extent } = this.mask;
    const needed = common(extent, seen);
    if (needed.left >= needed.right || needed.top >= needed.bottom) {
      if (Number.isNaN(this.#level)) {
        this.#trace(extent, detailFromAfar);
      }
    } else if ((detail.level !== this.#level && !isMoving) || !holds(this.#window, needed)) {
      // Half as much again on every side, so that the next moves find it there.
      const width = (seen.right - seen.left) / 2;
      const height = (seen.bottom - seen.top) / 2;
      const around = {
        left: Math.floor(seen.left - width),
        top: Math.floor(seen.top - height),
        right: Math.ceil(seen.right + width),
        bottom: Math.ceil(seen.bottom + height),
      };
      this.#trace(common(extent, around), detail);
    }
  }

  /** @param {Part} window @param {Detail} detail */
  #trace(window, detail) {
    this.#level = detail.level;
    this.#window = window;
    this.path.setAttribute("d", this.mask.path(detail, window));
  }
}

/** @param {Part} a @param {Part} b @returns {Part} */
function common(a, b) {
  return {
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  };
}

/** @param {Part} whole @param {Part} part */
function holds(whole, part) {
  return (
    whole.left <= part.left && whole.top <= part.top && whole.right >= part.right && whole.bottom >= part.bottom
  );
}

/**
 * @param {import("./main.js").Instance} instance
 * @param {number} index
 * @param {[number, number, number]} colour
 */
function group({ box: [x1, y1, x2, y2] }, index, colour) {
  const place = {
    x: String(x1),
    y: String(y1),
    width: String(Math.max(x2 - x1, THINNEST)),
    height: String(Math.max(y2 - y1, THINNEST)),
  };
  const g = element("g", { class: "result-shape", "data-index": String(index) });
  g.style.setProperty("--colour", `rgb(${colour.join(" ")})`);
  g.append(...["area", "halo", "outline"].map((name) => element("rect", { class: `result-${name}`, ...place })));
  return g;
}

/** @param {Result} result @param {SVGElement} g */
function area(result, g) {
  const [x1, y1, x2, y2] = result.instances[Number(g.dataset.index)].box;
  return (x2 - x1) * (y2 - y1);
}

/** @param {string} name @param {Record<string, string>} attributes */
function element(name, attributes) {
  const made = /** @type {SVGElement} */ (document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
}
