/** One minimum score for both results, by a slider in place of the form's list. */

import { percent } from "../shared/format.js";

/** @param {HTMLFormElement} form @param {import("./comparison.js").Comparison} comparison @param {number} highest of all scores */
export function connectScore(form, comparison, highest) {
  const slider = /** @type {HTMLInputElement} */ (form.querySelector("[type=range]"));
  const output = /** @type {HTMLOutputElement} */ (form.querySelector("output"));
  const above = /** @type {HTMLElement} */ (form.querySelector(".comparison-above"));
  const show = () => {
    output.value = slider.ariaValueText = percent(comparison.score);
    const highestPercent = Math.floor(highest * 1000) / 10;
    above.textContent = comparison.score > highest ? `Above all objects: the highest score is ${highestPercent}%.` : "";
  };
  slider.addEventListener("input", () => comparison.setScore(slider.valueAsNumber / 100));
  comparison.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelectorAll("select, button").forEach((one) => one.remove());
  slider.id = "score";
  slider.hidden = output.hidden = false;
  show();
}
