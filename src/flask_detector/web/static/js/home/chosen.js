/** The chosen pictures on the front page: which they are, and a row with a thumbnail for each. */

import { bytes } from "../shared/format.js";
import { nameOf } from "../shared/incoming.js";
import { measure, refusal } from "../shared/refusal.js";

/** @typedef {import("../shared/incoming.js").Item} Item */
/** @typedef {import("../shared/refusal.js").Refusal} Refusal */
/** @typedef {import("../shared/refusal.js").Limits} Limits */

export class Chosen {
  /** @type {Item[]} */
  items = [];
  /** @type {Map<Item, HTMLElement>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} list
   * @param {HTMLTemplateElement} template
   * @param {Limits} limits
   * @param {() => void} onRemoved called when the user has taken one out
   */
  constructor(list, template, limits, onRemoved) {
    this.list = list;
    this.template = template;
    this.limits = limits;
    this.onRemoved = onRemoved;
  }

  /** Those of the chosen pictures that are files. */
  get files() {
    return this.items.filter((item) => item instanceof File);
  }

  /**
   * Add pictures, but for those that are there; call `onRefused` for each that can't be sent, which is left out.
   *
   * @param {Item[]} items
   * @param {(item: Item, refusal: Refusal) => void} onRefused
   */
  async add(items, onRefused) {
    for (const item of items.filter((one) => !this.has(one))) {
      const wrong = await refusal(item, this.limits);
      if (wrong) {
        onRefused(item, wrong);
      } else {
        this.items.push(item);
        this.#add(item, onRefused);
      }
    }
  }

  /** @param {Item} item */
  has(item) {
    const key = keyOf(item);
    return this.items.some((one) => keyOf(one) === key);
  }

  /** Take out all pictures but these. @param {Item[]} items */
  keep(items) {
    [...this.#rows.keys()].filter((item) => !items.includes(item)).forEach((item) => this.#remove(item));
  }

  /** @param {Item} item */
  #remove(item) {
    const row = this.#rows.get(item);
    this.#rows.delete(item);
    this.items = this.items.filter((other) => other !== item);
    URL.revokeObjectURL(row?.querySelector("img")?.src ?? "");
    row?.remove();
  }

  /** @param {Item} item @param {(item: Item, refusal: Refusal) => void} onRefused */
  async #add(item, onRefused) {
    const copy = /** @type {DocumentFragment} */ (this.template.content.cloneNode(true));
    const row = /** @type {HTMLElement} */ (copy.firstElementChild);
    const image = /** @type {HTMLImageElement} */ (row.querySelector("img"));
    const size = /** @type {HTMLElement} */ (row.querySelector(".home-chosen-size"));
    /** @type {HTMLElement} */ (row.querySelector(".home-chosen-name")).textContent = nameOf(item);
    const remove = /** @type {HTMLButtonElement} */ (row.querySelector("button"));
    remove.setAttribute("aria-label", `Remove ${nameOf(item)}`);
    remove.addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      this.#remove(item);
      this.onRemoved();
      next?.querySelector("button")?.focus();
    });
    this.#rows.set(item, row);
    this.list.append(row);
    if (item instanceof URL) {
      image.hidden = true; // a foreign site is asked by the server alone
      size.textContent = "fetched by the server when it is sent";
      return;
    }
    size.textContent = bytes(item.size);
    image.src = URL.createObjectURL(item);
    const measured = await measure(image, this.limits);
    if (!row.isConnected) {
      return; // it was taken out meanwhile
    }
    // Empty for a format that this browser doesn't show, such as HEIC.
    image.hidden = measured === null;
    if (measured?.refusal) {
      this.#remove(item);
      onRefused(item, measured.refusal);
    } else if (measured) {
      size.textContent += `, ${measured.width} × ${measured.height} pixels`;
    }
  }
}

/** Return what tells whether two pictures are the same one. @param {Item} item */
function keyOf(item) {
  return item instanceof URL ? item.href : `${item.name}/${item.size}/${item.lastModified}`;
}
