/** Two results of the same picture: one camera, one minimum score, and what differs marked in both. */

import { connectClasses } from "./classes.js";
import { Comparison } from "./comparison.js";
import { connectRows } from "./rows.js";
import { connectScore } from "./score.js";
import { connectStepper } from "./stepper.js";
import { Camera } from "../result/camera.js";
import { connectLinks } from "../result/controls.js";
import { moveByHand, moveByTools } from "../result/gestures.js";
import { Labels } from "../result/labels.js";
import { offerDrawn } from "../result/save.js";
import { Shapes } from "../result/shapes.js";
import { count } from "../shared/format.js";
import "../shared/menu.js";
import { connectSharing } from "../shared/share.js";

/** @typedef {import("../result/main.js").Result} Result */
/** @typedef {import("./comparison.js").Side} Side */
/** @typedef {import("./match.js").Entry} Entry */

const page = /** @type {HTMLElement} */ (document.getElementById("comparison"));
const stages = /** @type {HTMLElement} */ (page.querySelector(".comparison-stages"));
const tools = /** @type {HTMLElement} */ (page.querySelector(".comparison-tools"));
const figures = /** @type {HTMLElement[]} */ ([...stages.children]);
const { data, colours, textColours } = {
  data: page.dataset,
  colours: JSON.parse(page.dataset.colours ?? ""),
  textColours: JSON.parse(page.dataset.textColours ?? ""),
};

const size = { width: Number(data.width), height: Number(data.height) };
const camera = new Camera(size.width, size.height);
const frames = figures.map((figure) => /** @type {HTMLElement} */ (figure.querySelector(".result-frame")));
figures.forEach(showPicture);
// Both frames are of one size, and so show the same part of the picture.
camera.resize(frames[0].clientWidth, frames[0].clientHeight);
camera.begin();

const results = await Promise.all(figures.map(load));
const pairs = JSON.parse(data.pairs ?? "");
const comparison = new Comparison([results[0].instances, results[1].instances], pairs, Number(data.score));
figures.forEach((figure, i) => showObjects(figure, results[i], comparison.sides[i]));
new ResizeObserver(() => camera.resize(frames[0].clientWidth, frames[0].clientHeight)).observe(frames[0]);

moveByTools(tools, camera);
const form = /** @type {HTMLFormElement} */ (page.querySelector(".comparison-score"));
connectScore(form, comparison, Number(data.highest));
connectClasses(form, comparison);
connectLinks(page, comparison);
comparison.addEventListener("change", connectSharing(page, () => comparison.search));
connectRows(page, comparison, colours, reveal);
connectStepper(tools, comparison, reveal);

/** @param {HTMLElement} figure */
function showPicture(figure) {
  const frame = /** @type {HTMLElement} */ (figure.querySelector(".result-frame"));
  const drawn = /** @type {HTMLImageElement} */ (frame.querySelector(".result-drawn"));
  const image = new Image(size.width, size.height);
  image.className = "result-picture";
  image.alt = drawn.alt;
  image.draggable = false;
  image.src = figure.dataset.picture ?? "";
  frame.prepend(image);
  camera.addEventListener("change", () => {
    const { x, y, scale } = camera.imageTransform();
    image.style.transform = drawn.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    frame.classList.toggle("zoomed", camera.zoom > 1);
    frame.classList.toggle("deep", camera.pixelSize >= 4);
  });
}

/** @param {HTMLElement} figure @returns {Promise<Result>} */
async function load(figure) {
  const result = await (await fetch(figure.dataset.result ?? "")).json();
  return { ...result, colours, text_colours: textColours };
}

/** @param {HTMLElement} figure @param {Result} result @param {Side} side */
function showObjects(figure, result, side) {
  const frame = /** @type {HTMLElement} */ (figure.querySelector(".result-frame"));
  const number = /** @type {HTMLElement} */ (figure.querySelector(".comparison-count"));
  const overlay = document.createElement("div");
  overlay.className = "result-overlay";
  /** @type {HTMLElement} */ (frame.querySelector(".result-picture")).after(overlay);
  const shapes = new Shapes(overlay, result, side, camera);
  const labels = new Labels(overlay, result, side);
  labels.look(camera);
  camera.addEventListener("change", () => labels.look(camera));
  const mark = () => {
    number.textContent = count(side.number, "object");
    result.instances.forEach((_, i) => {
      const kind = side.entry(i)?.kind;
      for (const one of [shapes.groups[i], labels.labels[i]]) {
        one.classList.toggle("same", kind === "same");
        one.classList.toggle("other", kind === "other");
      }
    });
  };
  side.addEventListener("change", mark);
  mark();
  side.addEventListener("light", showGhost(overlay, shapes.svg, side));
  moveByHand(frame, camera);
  offerDrawn(frame);
}

/**
 * Return what shows, in the result that lacks the lit object, where the other one has it.
 *
 * @param {HTMLElement} overlay @param {SVGElement} svg @param {Side} side
 */
function showGhost(overlay, svg, side) {
  const ghost = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ghost.setAttribute("class", "comparison-ghost");
  svg.append(ghost);
  return () => {
    const entry = comparison.lit;
    const other = side.name === "left" ? 1 : 0;
    const index = entry && side.lit === null ? entry[comparison.sides[other].name] : null;
    overlay.classList.toggle("has-lit", entry !== null);
    ghost.style.display = index === null ? "none" : "";
    if (index !== null) {
      const [x1, y1, x2, y2] = results[other].instances[index].box;
      Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 }).forEach(([name, value]) => ghost.setAttribute(name, `${value}`));
    }
  };
}

/** Bring an entry's objects into sight. @param {Entry} entry */
function reveal({ left, right }) {
  const boxes = [left === null ? [] : [results[0].instances[left].box], right === null ? [] : [results[1].instances[right].box]].flat();
  camera.reveal([
    Math.min(...boxes.map(([x1]) => x1)),
    Math.min(...boxes.map(([, y1]) => y1)),
    Math.max(...boxes.map(([, , x2]) => x2)),
    Math.max(...boxes.map(([, , , y2]) => y2)),
  ]);
  stages.scrollIntoView({ block: "nearest" }); // on a phone the lists lie below it
}
