/** A collection's page: its menu, and links that are copied. */

import "../shared/menu.js";
import { canCopy, copy } from "../shared/copy.js";

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[name=copy]"))) {
  const link = /** @type {HTMLInputElement} */ (button.closest(".collection-link")?.querySelector("input"));
  link.addEventListener("focus", () => link.select());
  button.addEventListener("click", () => copy(document.body, button, "text/plain", Promise.resolve(link.value)));
  button.hidden = !canCopy;
}
