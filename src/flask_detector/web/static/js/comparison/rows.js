/** The lists of what differs and what does not: pointing at a row lights its objects, and the other way round. */

import { percent } from "../shared/format.js";

/** @typedef {import("./match.js").Entry} Entry */
/** @typedef {import("./comparison.js").Comparison} Comparison */

/** @type {Record<string, number>} */
const KEY_STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

/**
 * @param {HTMLElement} page
 * @param {Comparison} comparison
 * @param {Record<string, [number, number, number]>} colours
 * @param {(entry: Entry) => void} onChosen
 */
export function connectRows(page, comparison, colours, onChosen) {
  const template = /** @type {HTMLTemplateElement} */ (page.querySelector("#comparison-part"));
  const lists = page.querySelector(".comparison-groups");
  /** @type {Map<Element, Entry>} */
  const entries = new Map();

  /** @param {number} side @param {number | null} index */
  function part(side, index) {
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    const { label, score } = comparison.instances[side][index ?? 0];
    /** @type {Element} */ (copy.querySelector(".comparison-label")).textContent = label;
    /** @type {Element} */ (copy.querySelector(".comparison-row-score")).textContent = percent(score);
    copy.querySelector("rect")?.setAttribute("fill", `rgb(${colours[label].join(" ")})`);
    return copy;
  }

  /** @param {Entry} entry */
  function row(entry) {
    const item = document.createElement("li");
    item.role = "option";
    item.tabIndex = -1;
    const sides = [entry.left, entry.right];
    sides.forEach((index, side) => index !== null && item.append(part(side, index), " "));
    entries.set(item, entry);
    return item;
  }

  function show() {
    entries.clear();
    for (const group of /** @type {NodeListOf<HTMLElement>} */ (page.querySelectorAll(".comparison-group"))) {
      const rows = comparison.entries.filter(({ kind }) => kind === group.dataset.kind).map(row);
      const list = /** @type {HTMLElement} */ (group.querySelector("ul"));
      list.role = "listbox"; // one stop for the Tab key, whatever its length; arrows go from row to row
      list.hidden = rows.length === 0;
      list.replaceChildren(...rows);
      if (rows.length) {
        rows[0].tabIndex = 0;
      }
      /** @type {Element} */ (group.querySelector(".comparison-number")).textContent = String(rows.length);
    }
    light();
  }

  function light() {
    for (const [item, entry] of entries) {
      item.classList.toggle("lit", entry === comparison.lit);
      item.ariaSelected = String(entry === comparison.chosen);
    }
  }

  /** @param {Event} event */
  const rowOf = ({ target }) => (target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("li")) : null);
  /** @param {Event} event */
  const entryOf = (event) => entries.get(/** @type {Element} */ (rowOf(event))) ?? null;

  /** @param {Entry | null} entry */
  function choose(entry) {
    comparison.choose(entry);
    if (entry && comparison.chosen) {
      onChosen(entry);
    }
  }

  lists?.addEventListener("pointerover", (event) => comparison.point(entryOf(event)));
  lists?.addEventListener("pointerleave", () => comparison.point(null));
  lists?.addEventListener("focusin", (event) => comparison.point(entryOf(event)));
  lists?.addEventListener("focusout", () => comparison.point(null));
  lists?.addEventListener("click", (event) => choose(entryOf(event)));
  lists?.addEventListener("keydown", (event) => {
    const { key } = /** @type {KeyboardEvent} */ (event);
    const now = rowOf(event);
    if (!now) {
      return;
    }
    if (key in KEY_STEPS) {
      event.preventDefault();
      const rows = /** @type {HTMLElement[]} */ ([.../** @type {Element} */ (now.parentElement).children]);
      const next = rows[Math.min(Math.max(rows.indexOf(now) + KEY_STEPS[key], 0), rows.length - 1)];
      now.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    } else if (key === "Enter" || key === " ") {
      event.preventDefault();
      choose(entryOf(event));
    }
  });
  page.addEventListener("keydown", ({ key }) => key === "Escape" && comparison.chosen && comparison.choose(null));
  comparison.addEventListener("change", show);
  comparison.addEventListener("light", light);
  show();
}
