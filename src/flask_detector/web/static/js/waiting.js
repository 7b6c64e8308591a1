/** The waiting page: tells how far the detection is, and gives way to its end. */

import { follow } from "./shared/follow.js";
import { count } from "./shared/format.js";

// What the stages of the detectors are called here; one that isn't named is simply "detecting objects".
/** @type {Record<string, string>} */
const STAGES = {
  decode: "Reading the picture.",
  prepare: "Resizing the picture.",
  features: "Extracting features.",
  proposals: "Finding candidate regions.",
  boxes: "Classifying regions.",
  select: "Selecting the best detections.",
  masks: "Drawing outlines.",
  paste: "Drawing outlines.",
};

const page = /** @type {HTMLElement} */ (document.getElementById("waiting"));
const title = /** @type {HTMLElement} */ (page.querySelector("h1"));
const words = /** @type {HTMLElement} */ (page.querySelector("[role=status]"));
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
  title.textContent = running ? "Detecting objects" : "Waiting in the queue";
  words.textContent = running
    ? (STAGES[state.stage ?? ""] ?? "Detecting objects.")
    : state.position
      ? `${count(state.position, "picture")} ahead of it.`
      : "Next in the queue.";
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
