/** Puts the rows of the list into the order that is asked for. */

/** @typedef {import("./main.js").Instance} Instance */

/** @type {Record<string, (instance: Instance) => number>} */
const RANKS = {
  score: ({ score }) => -score,
  size: ({ box: [x1, y1, x2, y2] }) => -(x2 - x1) * (y2 - y1),
  left: ({ box }) => box[0],
  top: ({ box }) => box[1],
};

/** @param {HTMLElement} page @param {import("./view.js").View} view */
export function connectOrder(page, view) {
  const select = /** @type {HTMLSelectElement | null} */ (page.querySelector(".result-order"));
  const list = page.querySelector(".result-instances");
  if (!select || !list) {
    return;
  }
  const rows = [...list.children];
  const numbers = rows.map((_, i) => i);
  select.addEventListener("change", () => {
    const ranks = view.instances.map(RANKS[select.value]);
    list.append(...numbers.sort((a, b) => ranks[a] - ranks[b] || a - b).map((i) => rows[i]));
  });
  select.hidden = false;
}
