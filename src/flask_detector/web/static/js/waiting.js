/** The waiting page: tells how far the detection is, and gives way to its end. */

import { follow } from "./news.js";
import { count } from "./words.js";

// What the stages of the detectors are called here; one that isn't named is simply "finding objects".
/** @type {Record<string, string>} */
const STAGES = {
  decode: "Reading the picture.",
  prepare: "Bringing the picture to the model's size.",
  features: "Looking for shapes and textures.",
  proposals: "Choosing regions to look at.",
  boxes: "Naming what is in the regions.",
  masks: "Outlining what was found.",
};

const page = /** @type {HTMLElement} */ (document.getElementById("waiting"));
const title = /** @type {HTMLElement} */ (page.querySelector("h1"));
const words = /** @type {HTMLElement} */ (page.querySelector("[role=status]"));
const steps = /** @type {HTMLElement[]} */ ([...page.querySelectorAll("[data-step]")]);

/** @param {import("./news.js").State} state */
function show(state) {
  if (state.final) {
    location.replace(location.href);
    return;
  }
  const running = state.status === "running";
  const step = !running ? "queued" : [null, "decode"].includes(state.stage) ? "decode" : "detect";
  title.textContent = running ? "Looking at your picture" : "Waiting for its turn";
  words.textContent = running
    ? (STAGES[state.stage ?? ""] ?? "Finding objects.")
    : state.position
      ? `${count(state.position, "picture")} before it.`
      : "It is the next one.";
  const reached = steps.findIndex((item) => item.dataset.step === step);
  steps.forEach((item, i) => {
    item.classList.toggle("done", i < reached);
    item.classList.toggle("now", i === reached);
    item.ariaCurrent = i === reached ? "step" : null;
  });
}

follow(page.dataset.events ?? "", page.dataset.state ?? "", show);
