/** The result page: the picture with what was found, the list beside it, and one view that both follow. */

import { Camera } from "./camera.js";
import { connectComparison } from "./compare.js";
import { connectClasses, connectHeadline, connectLinks, connectScore, connectToggles } from "./controls.js";
import { connectCopying } from "../shared/copy.js";
import { moveByHand, moveByTools } from "./gestures.js";
import { Labels } from "./labels.js";
import "../shared/keep.js";
import "../shared/menu.js";
import { connectOrder } from "./order.js";
import { connectPicked } from "./picked.js";
import { connectRows } from "./rows.js";
import { offerDrawn } from "./save.js";
import { Shapes } from "./shapes.js";
import { connectSharing } from "../shared/share.js";
import { View } from "./view.js";

/** @typedef {{size: [number, number], counts: string}} Rle */
/**
 * What was found, highest score first; a box is xyxy in pixels of the picture, an area those of the mask.
 *
 * @typedef {{label: string, score: number, box: [number, number, number, number], area?: number, mask?: Rle}} Instance
 */
/**
 * @typedef {object} Result
 * @property {number} width
 * @property {number} height
 * @property {Instance[]} instances
 * @property {number} shown_score
 * @property {Record<string, [number, number, number]>} colours of the classes' boxes and masks
 * @property {Record<string, [number, number, number]>} text_colours of their labels
 */

const page = /** @type {HTMLElement} */ (document.getElementById("result"));
const frame = /** @type {HTMLElement} */ (page.querySelector(".result-frame"));
const tools = /** @type {HTMLElement} */ (page.querySelector(".result-tools"));

const size = { width: Number(page.dataset.width), height: Number(page.dataset.height) };
const camera = new Camera(size.width, size.height);
const image = new Image(size.width, size.height);
image.className = "result-picture";
image.alt = page.querySelector(".result-file")?.textContent ?? "";
image.draggable = false;
image.src = page.dataset.picture ?? "";
const drawn = /** @type {HTMLImageElement} */ (frame.querySelector(".result-drawn"));
camera.addEventListener("change", () => {
  const { x, y, scale } = camera.imageTransform();
  image.style.transform = drawn.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  frame.classList.toggle("zoomed", camera.zoom > 1);
  frame.classList.toggle("deep", camera.pixelSize >= 4);
});
camera.resize(frame.clientWidth, frame.clientHeight);
camera.begin();
frame.prepend(image);

/** @type {Result} */
const result = await (await fetch(page.dataset.result ?? "")).json();
if (page.querySelectorAll(".result-instances > li").length !== result.instances.length) {
  location.reload(); // a correction was saved after the page was made
  await new Promise(() => {});
}
const view = new View(result);
const overlay = document.createElement("div");
overlay.className = "result-overlay";
image.after(overlay);
new Shapes(overlay, result, view, camera);
const labels = new Labels(overlay, result, view);
camera.addEventListener("change", () => labels.look(camera));
new ResizeObserver(() => camera.resize(frame.clientWidth, frame.clientHeight)).observe(frame);

moveByHand(frame, camera);
moveByTools(tools, camera);
offerDrawn(frame);
connectToggles(tools, frame, view);
connectComparison(frame, overlay, /** @type {HTMLButtonElement} */ (tools.querySelector("[name=compare]")));
connectScore(page, view);
connectClasses(page, result, view);
connectHeadline(page, view);
connectLinks(page, view);
connectCopying(page);
view.addEventListener("change", connectSharing(page, () => view.search));
connectPicked(page, view);
connectOrder(page, view);
connectRows(page, view, (index) => {
  camera.reveal(result.instances[index].box);
  frame.scrollIntoView({ block: "nearest" }); // on a phone the list lies below it
});

for (const time of page.querySelectorAll("time")) {
  time.textContent = new Date(time.dateTime).toLocaleString("en-GB", {
    dateStyle: "long",
    timeStyle: "short",
  });
}
