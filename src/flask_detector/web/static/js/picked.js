/** Tells about the chosen instance under the picture, and lets it be cut out. */

import { percent } from "./words.js";

/** @param {HTMLElement} page @param {import("./view.js").View} view */
export function connectPicked(page, view) {
  const caption = /** @type {HTMLElement} */ (page.querySelector(".picked"));
  const [name, facts] = /** @type {HTMLElement[]} */ ([...caption.children]);
  const link = /** @type {HTMLAnchorElement} */ (caption.querySelector("a"));
  const first = link.dataset.address ?? "";

  view.addEventListener("light", () => {
    caption.hidden = view.chosen === null;
    if (view.chosen !== null) {
      const { label, score, box, area } = view.instances[view.chosen];
      const [x1, y1, x2, y2] = box.map(Math.round);
      name.textContent = `${label} ${percent(score)}`;
      facts.textContent =
        `${x2 - x1} × ${y2 - y1} pixels at ${x1}, ${y1}` +
        (area === undefined ? "" : `, covers ${area.toLocaleString("en")} pixels`);
      link.href = first.replace(/0\.png$/, `${view.chosen}.png`);
    }
  });
}
