/** The waiting page: shows how far the detection is, and reloads when it has ended. */

import { follow } from "./shared/follow.js";

const page = /** @type {HTMLElement} */ (document.getElementById("waiting"));
const title = /** @type {HTMLElement} */ (page.querySelector("h1"));
const words = /** @type {HTMLElement} */ (page.querySelector("[role=status]"));
const forecast = /** @type {HTMLElement} */ (page.querySelector(".waiting-forecast"));
const idle = /** @type {HTMLElement} */ (page.querySelector(".notice"));
const progress = /** @type {HTMLProgressElement} */ (page.querySelector("progress"));
const picture = /** @type {HTMLImageElement} */ (page.querySelector("img"));
const steps = /** @type {HTMLElement[]} */ ([...page.querySelectorAll("[data-step]")]);

/** @param {import("./shared/follow.js").State} state */
function show(state) {
  if (state.final) {
    location.replace(location.href);
    return;
  }
  const running = state.status === "running";
  const reached = Math.max(steps.findIndex((item) => item.dataset.step === state.step), 0);
  title.textContent = running ? "Detecting objects" : "Waiting in the queue";
  words.textContent = state.place;
  forecast.textContent = state.forecast;
  idle.hidden = state.working;
  progress.value = reached;
  steps.forEach((item, i) => {
    item.classList.toggle("done", i < reached);
    item.classList.toggle("now", i === reached);
    item.ariaCurrent = i === reached ? "step" : null;
  });
}

// What can't be shown, such as a damaged file, needs no broken-image icon: the detection will fail with a reason.
picture.addEventListener("error", () => (picture.hidden = true));
if (picture.complete && !picture.naturalWidth) {
  picture.hidden = true;
}
follow(page.dataset.events ?? "", page.dataset.state ?? "", show);
