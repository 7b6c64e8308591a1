/**
 * Names and scores over the picture: HTML, so that they keep their size, placed so that none hides another, nor an
 * instance that is not its own.
 */

import { percent } from "../shared/format.js";

/** @typedef {import("./view.js").Shown} Shown */
/** @typedef {{left: number, top: number, right: number, bottom: number}} Area in CSS pixels of the frame */

export class Labels {
  #camera = /** @type {import("./camera.js").Camera | null} */ (null);

  /** @param {HTMLElement} overlay @param {import("./main.js").Result} result @param {Shown} view */
  constructor(overlay, result, view) {
    this.instances = result.instances;
    this.view = view;
    this.labels = this.instances.map(({ label, score }) => made(label, score, result));
    overlay.append(...this.labels);
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
 * Earlier labels choose first. Each takes the place where it hides least of the boxes; one that hides half of
 * another's box or more is no place. A label without a place shows as soon as its instance is pointed at, since
 * that one chooses before all others.
 *
 * @param {{box: Area, width: number, height: number}[]} labels
 * @param {{width: number, height: number}} frame
 * @returns {({x: number, y: number} | null)[]}
 */
export function placeLabels(labels, frame) {
  /** @type {Area[]} */
  const taken = [];
  const boxes = labels.map(({ box }) => box);
  return labels.map(({ box, width, height }, rank) => {
    if (box.right < 0 || box.bottom < 0 || box.left > frame.width || box.top > frame.height) {
      return null;
    }
    /** @type {Area | null} */
    let best = null;
    let leastHidden = MOST_HIDDEN;
    for (const [x, y] of corners(box, width, height, frame)) {
      const left = Math.min(Math.max(x, 0), frame.width - width);
      const area = { left, top: y, right: left + width, bottom: y + height };
      const inFrame = left >= 0 && y >= 0 && area.bottom <= frame.height;
      if (inFrame && !taken.some((other) => overlap(area, other) > 0)) {
        const hidden = hiddenBy(area, boxes, rank, leastHidden);
        if (hidden < leastHidden) {
          best = area;
          leastHidden = hidden;
        }
        if (hidden === 0) {
          break;
        }
      }
    }
    if (best) {
      taken.push(best);
    }
    return best && { x: best.left, y: best.top };
  });
}

const MOST_HIDDEN = 0.45; // of another's box, beyond what is negligible
const NEGLIGIBLE = 0.05; // the share of another's box that it may hide without counting
const MOST_HIDDEN_OF_OWN = 0.2; // without counting; more counts for less than other boxes do
const OWN = 0.1;

/**
 * Return the places that a label may have at its box, the preferred one first.
 *
 * @param {Area} box @param {number} width @param {number} height @param {{width: number, height: number}} frame
 */
function corners(box, width, height, frame) {
  const left = Math.max(box.left, 0);
  const top = Math.max(box.top, 0);
  const right = Math.min(box.right, frame.width);
  const bottom = Math.min(box.bottom, frame.height);
  return [
    [left, top - height],
    [left, top],
    [right - width, top - height],
    [left, bottom],
    [right - width, top],
    [right - width, bottom],
    [left, bottom - height],
    [right - width, bottom - height],
    [right, top],
    [left - width, top],
    [(left + right - width) / 2, (top + bottom - height) / 2],
  ];
}

/**
 * Return which share of the box that suffers most a label would hide; no exact number from `enough` on.
 *
 * @param {Area} label @param {Area[]} boxes @param {number} own @param {number} enough
 */
function hiddenBy(label, boxes, own, enough) {
  let worst = 0;
  for (let i = 0; i < boxes.length && worst < enough; i++) {
    const common = overlap(label, boxes[i]);
    if (common) {
      const { left, top, right, bottom } = boxes[i];
      const share = common / Math.max((right - left) * (bottom - top), 1);
      worst = Math.max(worst, i === own ? (share - MOST_HIDDEN_OF_OWN) * OWN : share - NEGLIGIBLE);
    }
  }
  return worst;
}

/** The common area of two, in square pixels. @param {Area} a @param {Area} b */
function overlap(a, b) {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

/** @param {string} name @param {number} score @param {import("./main.js").Result} result */
function made(name, score, { colours, text_colours }) {
  const label = document.createElement("span");
  label.className = "result-label";
  label.textContent = `${name} ${percent(score)}`;
  label.ariaHidden = "true"; // the list says the same
  label.style.background = `rgb(${colours[name].join(" ")})`;
  label.style.color = `rgb(${text_colours[name].join(" ")})`;
  return label;
}
