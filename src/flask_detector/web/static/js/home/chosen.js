/** The chosen pictures on the front page: which they are, and a row with a thumbnail for each. */

import { measure, refusal } from "./refusal.js";
import { bytes } from "../shared/format.js";

/** @typedef {import("./refusal.js").Refusal} Refusal */
/** @typedef {import("./refusal.js").Limits} Limits */

export class Chosen {
  /** @type {File[]} */
  files = [];
  /** @type {Map<File, HTMLElement>} */
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

  /**
   * Add files, but for those that are there; call `onRefused` for each that can't be sent, which is left out.
   *
   * @param {File[]} files
   * @param {(file: File, refusal: Refusal) => void} onRefused
   */
  async add(files, onRefused) {
    for (const file of files.filter((one) => !this.has(one))) {
      const wrong = await refusal(file, this.limits);
      if (wrong) {
        onRefused(file, wrong);
      } else {
        this.files.push(file);
        this.#add(file, onRefused);
      }
    }
  }

  /** @param {File} file */
  has({ name, size, lastModified }) {
    return this.files.some((one) => one.name === name && one.size === size && one.lastModified === lastModified);
  }

  /** Take out all files but these. @param {File[]} files */
  keep(files) {
    [...this.#rows].filter(([file]) => !files.includes(file)).forEach(([file]) => this.#remove(file));
  }

  /** @param {File} file */
  #remove(file) {
    const row = this.#rows.get(file);
    this.#rows.delete(file);
    this.files = this.files.filter((other) => other !== file);
    URL.revokeObjectURL(row?.querySelector("img")?.src ?? "");
    row?.remove();
  }

  /** @param {File} file @param {(file: File, refusal: Refusal) => void} onRefused */
  async #add(file, onRefused) {
    const copy = /** @type {DocumentFragment} */ (this.template.content.cloneNode(true));
    const row = /** @type {HTMLElement} */ (copy.firstElementChild);
    const image = /** @type {HTMLImageElement} */ (row.querySelector("img"));
    const size = /** @type {HTMLElement} */ (row.querySelector(".home-chosen-size"));
    /** @type {HTMLElement} */ (row.querySelector(".home-chosen-name")).textContent = file.name;
    size.textContent = bytes(file.size);
    const remove = /** @type {HTMLButtonElement} */ (row.querySelector("button"));
    remove.setAttribute("aria-label", `Remove ${file.name}`);
    remove.addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      this.#remove(file);
      this.onRemoved();
      next?.querySelector("button")?.focus();
    });
    this.#rows.set(file, row);
    this.list.append(row);
    image.src = URL.createObjectURL(file);
    const measured = await measure(image, this.limits);
    if (!row.isConnected) {
      return; // it was taken out meanwhile
    }
    // Empty for a format that this browser doesn't show, such as HEIC.
    image.hidden = measured === null;
    if (measured?.refusal) {
      this.#remove(file);
      onRefused(file, measured.refusal);
    } else if (measured) {
      size.textContent += `, ${measured.width} × ${measured.height} pixels`;
    }
  }
}
