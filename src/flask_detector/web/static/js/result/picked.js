/** Describes the chosen instance under the picture, with a link to its crop; before that, how to choose one. */

import { percent } from "../shared/format.js";

/** @param {HTMLElement} page @param {import("./view.js").View} view */
export function connectPicked(page, view) {
  const caption = /** @type {HTMLElement} */ (page.querySelector(".result-picked"));
  const [name, facts] = /** @type {HTMLElement[]} */ ([...caption.children]);
  const link = /** @type {HTMLAnchorElement} */ (caption.querySelector("a"));
  const first = link.dataset.address ?? "";
  const invitation = facts.textContent;

  view.addEventListener("light", () => {
    name.hidden = link.hidden = view.chosen === null;
    if (view.chosen === null) {
      facts.textContent = invitation;
    } else {
      const { label, score, box, area } = view.instances[view.chosen];
      const [x1, y1, x2, y2] = box;
      name.textContent = `${label} ${percent(score)}`;
      facts.textContent =
        `${Math.round(x2 - x1)} × ${Math.round(y2 - y1)} pixels at ${Math.round(x1)}, ${Math.round(y1)}` +
        (area === undefined ? "" : `, covers ${area.toLocaleString("en")} pixels`);
      link.href = first.replace(/0\.png(?=\?|$)/, `${view.chosen}.png`);
    }
  });
  const show = () => (caption.hidden = !view.instances.some((_, i) => view.shows(i)));
  view.addEventListener("change", show);
  show();
}
