/** The waiting page: tells how far the detection is, and gives way to its end. */

import { follow } from "./news.js";
import { count } from "./words.js";

// What the stages of the detectors are called here; one that isn't named is simply "looking at it".
/** @type {Record<string, string>} */
const STAGES = {
  decode: "Reading the picture.",
  prepare: "Bringing the picture to the model's size.",
  features: "Looking for shapes and textures.",
  proposals: "Choosing regions to look at.",
  boxes: "Naming what is in the regions.",
  select: "Choosing the best of what was found.",
  masks: "Outlining what was found.",
  paste: "Outlining what was found.",
};

const page = /** @type {HTMLElement} */ (document.getElementById("waiting"));
const title = /** @type {HTMLElement} */ (page.querySelector("h1"));
const words = /** @type {HTMLElement} */ (page.querySelector("[role=status]"));
const idle = /** @type {HTMLElement} */ (page.querySelector(".notice"));
const progress = /** @type {HTMLProgressElement} */ (page.querySelector("progress"));
const picture = /** @type {HTMLImageElement} */ (page.querySelector("img"));
const steps = /** @type {HTMLElement[]} */ ([...page.querySelectorAll("[data-step]")]);

/** @param {import("./news.js").State} state */
function show(state) {
  if (state.final) {
    location.replace(location.href);
    return;
  }
  const running = state.status === "running";
  title.textContent = running ? "Looking at your picture" : "Waiting for its turn";
  words.textContent = running
    ? (STAGES[state.stage ?? ""] ?? "Looking at it.")
    : state.position
      ? `${count(state.position, "picture")} before it.`
      : "It is the next one.";
  idle.hidden = state.working;
  const reached = steps.findIndex((item) => item.dataset.step === state.step);
  progress.value = Math.max(reached, 0);
  steps.forEach((item, i) => {
    item.classList.toggle("done", i < reached);
    item.classList.toggle("now", i === reached);
    item.ariaCurrent = i === reached ? "step" : null;
  });
}

// What can't be shown, such as a damaged file, is no reason for an ugly sign: the detection will tell.
picture.addEventListener("error", () => (picture.hidden = true));
if (picture.complete && !picture.naturalWidth) {
  picture.hidden = true;
}
follow(page.dataset.events ?? "", page.dataset.state ?? "", show);
