/** Boxes and masks over the picture, as one SVG whose view box is what the camera shows. */

import { maskPath } from "./masks.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./result.js").Result} Result */

const SVG = "http://www.w3.org/2000/svg";

export class Shapes {
  /** @param {HTMLElement} overlay @param {Result} result @param {View} view */
  constructor(overlay, result, view) {
    this.svg = element("svg", { class: "shapes", "aria-hidden": "true" });
    this.groups = result.instances.map((instance, i) => group(instance, i, result.colours[instance.label]));
    // Small ones last, so that one within another can be pointed at.
    const order = [...this.groups].sort((a, b) => area(result, b) - area(result, a));
    this.svg.append(...order);
    overlay.append(this.svg);

    this.svg.addEventListener("pointerover", (event) => view.point(indexOf(event)));
    this.svg.addEventListener("pointerleave", () => view.point(null));
    this.svg.addEventListener("click", (event) => {
      const index = indexOf(event);
      if (index !== null || view.chosen !== null) {
        view.choose(index);
      }
    });

    const show = () => {
      this.groups.forEach((g, i) => g.toggleAttribute("hidden", !view.shows(i)));
      this.#outline(result, view);
    };
    const light = () => {
      overlay.classList.toggle("has-lit", view.lit !== null);
      this.groups.forEach((g, i) => g.classList.toggle("lit", i === view.lit));
    };
    view.addEventListener("change", show);
    view.addEventListener("light", light);
    show();
  }

  /** @param {import("./camera.js").Camera} camera */
  look(camera) {
    const { x, y, width, height } = camera.visible;
    this.svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  }

  /** Add the masks of what is shown; the others' are not worth decoding yet. @param {Result} result @param {View} view */
  #outline(result, view) {
    this.groups.forEach((g, i) => {
      const { mask, box } = result.instances[i];
      if (mask && view.shows(i) && !g.querySelector(".mask")) {
        g.prepend(element("path", { class: "mask", "fill-rule": "evenodd", d: maskPath(mask, box) }));
      }
    });
  }
}

/**
 * @param {import("./result.js").Instance} instance
 * @param {number} index
 * @param {[number, number, number]} colour
 */
function group({ box: [x1, y1, x2, y2] }, index, colour) {
  const place = { x: String(x1), y: String(y1), width: String(x2 - x1), height: String(y2 - y1) };
  const g = element("g", { class: "shape", "data-index": String(index) });
  g.style.setProperty("--colour", `rgb(${colour.join(" ")})`);
  g.append(...["area", "halo", "outline"].map((name) => element("rect", { class: name, ...place })));
  return g;
}

/** @param {Result} result @param {SVGElement} g */
function area(result, g) {
  const [x1, y1, x2, y2] = result.instances[Number(g.dataset.index)].box;
  return (x2 - x1) * (y2 - y1);
}

/** @param {Event} event */
function indexOf(event) {
  const g = event.target instanceof Element ? event.target.closest("g") : null;
  return g ? Number(g.dataset.index) : null;
}

/** @param {string} name @param {Record<string, string>} attributes */
function element(name, attributes) {
  const made = /** @type {SVGElement} */ (document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
}
