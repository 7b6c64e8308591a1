/** The controls beside and under the picture: minimum score, classes, what is drawn; the headline; the links. */

import { count, percent } from "../shared/format.js";

/** @typedef {import("./view.js").View} View */

/** @param {HTMLElement} page @param {View} view */
export function connectScore(page, view) {
  const section = /** @type {HTMLElement | null} */ (page.querySelector(".result-score"));
  if (!section) {
    return;
  }
  const slider = /** @type {HTMLInputElement} */ (section.querySelector("input"));
  const output = /** @type {HTMLOutputElement} */ (section.querySelector("output"));
  const bars = section.querySelectorAll("rect");
  const above = /** @type {HTMLElement} */ (section.querySelector(".result-above"));
  const highest = Math.max(...view.instances.map(({ score }) => score));
  const show = () => {
    output.value = percent(view.score);
    slider.ariaValueText = percent(view.score);
    slider.value = String(Math.round(view.score * 100));
    bars.forEach((bar, i) => bar.classList.toggle("low", (i + 1) / bars.length <= view.score));
    above.textContent = view.score > highest ? `Above all objects: the highest score is ${percentBelow(highest)}.` : "";
  };
  slider.addEventListener("input", () => view.setScore(slider.valueAsNumber / 100));
  view.addEventListener("change", show);
  show();
  section.hidden = false;
  const weaker = /** @type {HTMLElement | null} */ (page.querySelector(".result-weaker"));
  if (weaker) {
    weaker.hidden = false;
  }
}

/** Return a score as a percentage that is not above it, such as "87.4%". @param {number} score in 0..1 */
const percentBelow = (score) => `${Math.floor(score * 1000) / 10}%`;

/** @param {HTMLElement} page @param {import("./main.js").Result} result @param {View} view */
export function connectClasses(page, result, view) {
  const items = /** @type {NodeListOf<HTMLElement>} */ (page.querySelectorAll(".result-classes li"));
  const labels = new Set(result.instances.map((instance) => instance.label));
  const rows = [...items].map((item) => ({
    item,
    label: item.dataset.label ?? "",
    box: /** @type {HTMLInputElement} */ (item.querySelector("input")),
    count: /** @type {HTMLElement} */ (item.querySelector(".result-class-count")),
  }));
  const show = () => {
    const counts = view.counts();
    for (const { item, label, box, count } of rows) {
      item.hidden = !counts.has(label);
      box.checked = !view.off.has(label);
      count.textContent = String(counts.get(label) ?? 0);
    }
  };
  for (const { label, box } of rows) {
    box.hidden = false;
    box.addEventListener("change", () => {
      const off = new Set(view.off);
      box.checked ? off.delete(label) : off.add(label);
      view.setOff(off);
    });
  }
  const buttons = /** @type {HTMLElement | null} */ (page.querySelector(".result-all-none"));
  if (buttons) {
    buttons.querySelector("[name=all]")?.addEventListener("click", () => view.setOff([]));
    buttons.querySelector("[name=none]")?.addEventListener("click", () => view.setOff(labels));
    buttons.hidden = false;
  }
  view.addEventListener("change", show);
  show();
}

/** @param {HTMLElement} tools @param {HTMLElement} frame @param {View} view */
export function connectToggles(tools, frame, view) {
  const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (tools.querySelectorAll("input"));
  const show = () => {
    for (const box of boxes) {
      const part = /** @type {import("./view.js").Switch} */ (box.name);
      box.checked = !view.hidden.has(part);
      frame.classList.toggle(`no-${part}`, !box.checked);
    }
  };
  for (const box of boxes) {
    const part = /** @type {import("./view.js").Switch} */ (box.name);
    box.addEventListener("change", () => view.setSwitch(part, box.checked));
  }
  view.addEventListener("change", show);
  show();
}

/** @param {HTMLElement} page @param {View} view */
export function connectHeadline(page, view) {
  const headline = /** @type {HTMLElement} */ (page.querySelector("h1"));
  const nothing = /** @type {HTMLElement | null} */ (page.querySelector("#nothing"));
  const show = () => {
    const number = view.instances.filter((_, i) => view.shows(i)).length;
    const switchedOff = view.off.size > 0;
    headline.textContent = switchedOff
      ? `${count(number, "object")} shown`
      : number
        ? `${count(number, "object")} found`
        : "No objects found";
  };
  view.addEventListener("change", () => {
    show();
    if (nothing) {
      nothing.hidden = true; // it says why nothing was shown at first
    }
  });
  show();
}

/** Lets downloads and the drawn picture follow the view. @param {HTMLElement} page @param {EventTarget & {search: string}} view */
export function connectLinks(page, view) {
  const followers = [...page.querySelectorAll("[data-follows-view]")];
  view.addEventListener("change", () => {
    for (const follower of followers) {
      const attribute = follower instanceof HTMLImageElement ? "src" : "href";
      const [path, before] = (follower.getAttribute(attribute) ?? "").split("?");
      const format = new URLSearchParams(before).get("format");
      const query = new URLSearchParams(view.search);
      if (format) {
        query.set("format", format);
      }
      follower.setAttribute(attribute, query.size ? `${path}?${query}` : path);
    }
  });
}
