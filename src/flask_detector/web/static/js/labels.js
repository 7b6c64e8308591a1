/** Names and scores over the picture: HTML, so that they keep their size, placed so that none hides another. */

import { percent } from "./words.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {{left: number, top: number, right: number, bottom: number}} Area in CSS pixels of the frame */

export class Labels {
  #camera = /** @type {import("./camera.js").Camera | null} */ (null);

  /** @param {HTMLElement} frame @param {import("./result.js").Result} result @param {View} view */
  constructor(frame, result, view) {
    this.instances = result.instances;
    this.view = view;
    this.labels = this.instances.map(({ label, score }) => made(label, score, result.colours[label]));
    frame.append(...this.labels);
    this.sizes = this.labels.map((label) => ({ width: label.offsetWidth, height: label.offsetHeight }));
    view.addEventListener("change", () => this.#place());
    view.addEventListener("light", () => this.#place());
  }

  /** @param {import("./camera.js").Camera} camera */
  look(camera) {
    this.#camera = camera;
    this.#place();
  }

  #place() {
    if (!this.#camera) {
      return;
    }
    const { visible, pixelSize, frame } = this.#camera;
    const { lit } = this.view;
    const shown = this.labels.map((_, i) => i).filter((i) => this.view.shows(i) || i === lit);
    const order = lit === null ? shown : [lit, ...shown.filter((i) => i !== lit)];
    const places = placeLabels(
      order.map((i) => {
        const [x1, y1, x2, y2] = this.instances[i].box;
        return {
          ...this.sizes[i],
          box: {
            left: (x1 - visible.x) * pixelSize,
            top: (y1 - visible.y) * pixelSize,
            right: (x2 - visible.x) * pixelSize,
            bottom: (y2 - visible.y) * pixelSize,
          },
        };
      }),
      frame,
    );
    const placeOf = new Map(order.map((i, rank) => [i, places[rank]]));
    this.labels.forEach((label, i) => {
      const place = placeOf.get(i);
      label.hidden = !place;
      label.classList.toggle("lit", i === lit);
      if (place) {
        label.style.transform = `translate(${place.x}px, ${place.y}px)`;
      }
    });
  }
}

/**
 * Return a place (its top left corner) for each label at its box, or null where there is no free one.
 *
 * Earlier labels choose first. A label without a place shows as soon as its instance is pointed at, since that
 * one chooses before all others.
 *
 * @param {{box: Area, width: number, height: number}[]} labels
 * @param {{width: number, height: number}} frame
 * @returns {({x: number, y: number} | null)[]}
 */
export function placeLabels(labels, frame) {
  /** @type {Area[]} */
  const taken = [];
  return labels.map(({ box, width, height }) => {
    if (box.right < 0 || box.bottom < 0 || box.left > frame.width || box.top > frame.height) {
      return null;
    }
    const left = Math.max(box.left, 0);
    const top = Math.max(box.top, 0);
    const right = Math.min(box.right, frame.width);
    const bottom = Math.min(box.bottom, frame.height);
    for (const [x, y] of [
      [left, top - height],
      [left, top],
      [right - width, top - height],
      [right - width, top],
      [left, bottom],
      [right - width, bottom],
      [left, bottom - height],
      [right - width, bottom - height],
      [(left + right - width) / 2, (top + bottom - height) / 2],
    ]) {
      const area = {
        left: Math.min(Math.max(x, 0), frame.width - width),
        top: y,
        right: 0,
        bottom: y + height,
      };
      area.right = area.left + width;
      const inFrame = area.left >= 0 && area.top >= 0 && area.bottom <= frame.height;
      if (inFrame && !taken.some((other) => overlap(area, other))) {
        taken.push(area);
        return { x: area.left, y: area.top };
      }
    }
    return null;
  });
}

/** @param {Area} a @param {Area} b */
function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** @param {string} name @param {number} score @param {[number, number, number]} colour */
function made(name, score, colour) {
  const label = document.createElement("span");
  label.className = `label ${isLight(colour) ? "on-light" : "on-dark"}`;
  label.textContent = `${name} ${percent(score)}`;
  label.ariaHidden = "true"; // the list says the same
  label.style.setProperty("--colour", `rgb(${colour.join(" ")})`);
  return label;
}

/**
 * Tell whether black is easier to read on a colour than white (relative luminance, WCAG 2.2).
 *
 * @param {[number, number, number]} colour sRGB, 0..255
 */
function isLight(colour) {
  const [red, green, blue] = colour.map((channel) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}
