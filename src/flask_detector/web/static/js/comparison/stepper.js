/** Leads from difference to difference, the highest score first: by two buttons, and by N and P. */

import { count } from "../shared/format.js";

/** @typedef {import("./comparison.js").Comparison} Comparison */

/** @param {HTMLElement} tools @param {Comparison} comparison @param {(entry: import("./match.js").Entry) => void} onChosen */
export function connectStepper(tools, comparison, onChosen) {
  const words = /** @type {HTMLElement} */ (tools.querySelector(".comparison-at"));
  const buttons = /** @type {HTMLButtonElement[]} */ (["previous", "next"].map((name) => tools.querySelector(`[name=${name}]`)));

  /** @param {number} by 1 or -1 */
  function step(by) {
    const all = comparison.differences;
    if (all.length) {
      const at = comparison.chosen ? all.indexOf(comparison.chosen) : -1;
      const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length];
      if (next !== comparison.chosen) {
        comparison.choose(next);
      }
      onChosen(next);
    }
  }

  function show() {
    const all = comparison.differences;
    const at = comparison.chosen ? all.indexOf(comparison.chosen) : -1;
    words.textContent = at < 0 ? count(all.length, "difference") : `${at + 1} of ${count(all.length, "difference")}`;
    buttons.forEach((button) => (button.disabled = !all.length));
  }

  buttons[0].addEventListener("click", () => step(-1));
  buttons[1].addEventListener("click", () => step(1));
  document.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
    const isText = target instanceof Element && target.closest("input:not([type=range]), select, textarea");
    const by = { n: 1, p: -1 }[key.toLowerCase()];
    if (by && !isText && !ctrlKey && !metaKey && !altKey) {
      step(by);
    }
  });
  comparison.addEventListener("change", show);
  comparison.addEventListener("light", show);
  show();
}
