/** The chosen pictures on the front page: which they are, and a row with a thumbnail for each. */

import { measure, refusal } from "./refusal.js";
import { bytes } from "../shared/format.js";

/** @typedef {import("./refusal.js").Refusal} Refusal */
/** @typedef {import("./refusal.js").Limits} Limits */

export class Chosen {
  /** @type {File[]} */
  files = [];

  /** @param {HTMLElement} list @param {HTMLTemplateElement} template @param {Limits} limits */
  constructor(list, template, limits) {
    this.list = list;
    this.template = template;
    this.limits = limits;
  }

  /**
   * Show other files; call `onRefused` for each that can't be sent, which is left out.
   *
   * @param {File[]} files
   * @param {(file: File, refusal: Refusal) => void} onRefused
   */
  async show(files, onRefused) {
    this.clear();
    for (const file of files) {
      const wrong = await refusal(file, this.limits);
      if (wrong) {
        onRefused(file, wrong);
      } else {
        this.files.push(file);
        this.#add(file, onRefused);
      }
    }
  }

  clear() {
    this.files = [];
    this.list.querySelectorAll("img").forEach((image) => URL.revokeObjectURL(image.src));
    this.list.replaceChildren();
  }

  /** @param {File} file @param {(file: File, refusal: Refusal) => void} onRefused */
  async #add(file, onRefused) {
    const row = /** @type {HTMLElement} */ (this.template.content.cloneNode(true)).children[0];
    const image = /** @type {HTMLImageElement} */ (row.querySelector("img"));
    const size = /** @type {HTMLElement} */ (row.querySelector(".home-chosen-size"));
    /** @type {HTMLElement} */ (row.querySelector(".home-chosen-name")).textContent = file.name;
    size.textContent = bytes(file.size);
    this.list.append(row);
    image.src = URL.createObjectURL(file);
    const measured = await measure(image, this.limits);
    if (!row.isConnected) {
      return; // other files have been chosen meanwhile
    }
    // Empty for a format that this browser doesn't show, such as HEIC.
    image.hidden = measured === null;
    if (measured?.refusal) {
      URL.revokeObjectURL(image.src);
      this.files = this.files.filter((other) => other !== file);
      row.remove();
      onRefused(file, measured.refusal);
    } else if (measured) {
      size.textContent += `, ${measured.width} × ${measured.height} pixels`;
    }
  }
}
