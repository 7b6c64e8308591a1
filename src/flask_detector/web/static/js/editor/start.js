/** Loads the editor when it is asked for: by its button, by E, or by a link that ends in #correct. */

import { Refusal, current } from "./document.js";

const editor = /** @type {HTMLDialogElement} */ (document.querySelector("dialog.editor"));
const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[name=correct]"));
const HASH = "#correct";
/** @type {Promise<void> | undefined} */
let styled;

/** Fetch all that the editor needs at once, so that no module is found by reading another. */
function load() {
  styled ??= new Promise((resolve) => {
    for (const href of (editor.dataset.modules ?? "").split(" ")) {
      document.head.append(linkTo(href, "modulepreload"));
    }
    const style = linkTo(editor.dataset.style ?? "", "stylesheet");
    style.addEventListener("load", () => resolve());
    document.head.append(style);
  });
  return styled;
}

/** @param {string} href @param {string} rel */
function linkTo(href, rel) {
  const link = document.createElement("link");
  link.rel = rel;
  link.href = href;
  return link;
}

let isOpening = false;

async function open() {
  if (isOpening || editor.open) {
    return;
  }
  isOpening = true;
  performance.mark("editor-asked");
  try {
    const saved = current(editor.dataset.annotations ?? "");
    const [{ open: start }] = await Promise.all([import("./main.js"), load()]);
    start(editor, await saved);
    history.replaceState(null, "", HASH);
    performance.measure("editor-ready", "editor-asked");
  } catch (error) {
    const words = error instanceof Refusal ? error.message : "The server can’t be reached. Try again in a moment.";
    const notice = /** @type {HTMLElement} */ (document.querySelector(".editor-failed"));
    notice.textContent = `The editor can’t be opened: ${words}`;
    notice.hidden = false;
  }
  isOpening = false;
}

for (const button of buttons) {
  button.hidden = false;
  button.addEventListener("click", open);
  button.addEventListener("pointerenter", load);
  button.addEventListener("focus", load);
}
document.addEventListener("keydown", (event) => {
  const isText = event.target instanceof Element && event.target.closest("input, select, textarea");
  if (event.key.toLowerCase() === "e" && !isText && !event.ctrlKey && !event.metaKey && !event.altKey) {
    open();
  }
});
if (location.hash === HASH || "opened" in editor.dataset) {
  open();
}
