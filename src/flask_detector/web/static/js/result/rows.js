/** The list of instances: pointing at a row lights its instance, and the other way round. */

/** @typedef {import("./view.js").View} View */

const BESIDE = matchMedia("(min-width: 62rem)"); // the list lies beside the picture, see result.css

/** @type {Record<string, number>} */
const KEY_STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

/**
 * @param {HTMLElement} page
 * @param {View} view
 * @param {(index: number) => void} onChosen
 */
export function connectRows(page, view, onChosen) {
  const list = /** @type {HTMLElement | null} */ (page.querySelector(".result-instances"));
  if (!list) {
    return;
  }
  const rows = /** @type {HTMLElement[]} */ ([...list.children]);
  // A list box is one stop for the Tab key, whatever its length; arrows go from row to row.
  list.role = "listbox";
  rows.forEach((row) => (row.role = "option"));
  let stop = 0;

  /** @param {number} index */
  function moveStop(index) {
    rows[stop].tabIndex = -1;
    rows[index].tabIndex = 0;
    stop = index;
  }

  /** @param {Event} event */
  function indexOf(event) {
    const row = event.target instanceof Element ? event.target.closest("li") : null;
    return row ? rows.indexOf(row) : null;
  }

  /** @param {number} index */
  function choose(index) {
    view.choose(index);
    if (view.chosen !== null) {
      onChosen(index);
    }
  }

  list.addEventListener("pointerover", (event) => view.point(indexOf(event)));
  list.addEventListener("pointerleave", () => view.point(null));
  list.addEventListener("focusin", (event) => {
    const index = indexOf(event);
    if (index !== null) {
      moveStop(index);
      view.point(index);
    }
  });
  list.addEventListener("focusout", () => view.point(null));
  list.addEventListener("click", (event) => {
    const index = indexOf(event);
    if (index !== null) {
      choose(index);
    }
  });
  list.addEventListener("keydown", (event) => {
    const step = KEY_STEPS[event.key];
    if (step) {
      event.preventDefault();
      const shown = /** @type {HTMLElement[]} */ ([...list.children]).filter((row) => !row.hidden);
      const next = Math.min(Math.max(shown.indexOf(rows[stop]) + step, 0), shown.length - 1);
      shown[next]?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(stop);
    }
  });
  page.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && view.chosen !== null) {
      view.choose(null);
    }
  });

  function show() {
    rows.forEach((row, i) => (row.hidden = !view.shows(i)));
    rows.forEach((row) => (row.tabIndex = -1));
    moveStop(rows[stop].hidden ? Math.max(rows.findIndex((row) => !row.hidden), 0) : stop);
  }

  function light() {
    rows.forEach((row, i) => {
      row.classList.toggle("lit", i === view.lit);
      row.ariaSelected = String(i === view.chosen);
    });
    if (view.chosen !== null && BESIDE.matches) {
      rows[view.chosen].scrollIntoView({ block: "nearest" });
    }
  }

  view.addEventListener("change", show);
  view.addEventListener("light", light);
  show();
  light();
}
