/** The dialogs over the editor: its keys; two versions of which one is to stay. */

import { GROUPS } from "./keys.js";
import { count } from "../shared/format.js";

/** @param {HTMLDialogElement} dialog @param {boolean} hasMasks whether the model can make masks */
export function showHelp(dialog, hasMasks) {
  const groups = /** @type {HTMLElement} */ (dialog.querySelector(".editor-keys"));
  if (!groups.childElementCount) {
    for (const [title, keys] of Object.entries(GROUPS)) {
      const section = document.createElement("section");
      const heading = document.createElement("h3");
      heading.textContent = title;
      const list = document.createElement("dl");
      for (const [action, { name, does }] of Object.entries(keys)) {
        if (action === "mask" && !hasMasks) {
          continue;
        }
        const row = document.createElement("div");
        const [key, text] = [document.createElement("dt"), document.createElement("dd")];
        key.append(...name.split(/( or | to |(?<=.)\+)/).map((part, i) => (i % 2 ? part : keyCap(part))));
        text.textContent = does;
        row.append(key, text);
        list.append(row);
      }
      section.append(heading, list);
      groups.append(section);
    }
  }
  dialog.showModal();
  dialog.scrollTop = 0; // the button that has the focus is at the end
}

/** @param {string} key */
function keyCap(key) {
  const cap = document.createElement("kbd");
  cap.textContent = key;
  return cap;
}

/**
 * Ask which version is to stay; the other one can be had back by undoing.
 *
 * @param {HTMLDialogElement} dialog
 * @param {import("./saver.js").Rival} rival
 * @param {number} mine how many objects this page has
 * @returns {Promise<"mine" | "theirs">}
 */
export function askWhich(dialog, rival, mine) {
  const text = /** @type {HTMLElement} */ (dialog.querySelector(".editor-conflict-text"));
  text.textContent =
    `${rival.message} That version has ${count(rival.document.objects.length, "object")}; yours has ` +
    `${count(mine, "object")} and is not saved. Nothing is lost: undo brings the other one back.`;
  if (!dialog.open) {
    dialog.showModal();
  }
  return new Promise((resolve) => {
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "mine" ? "mine" : "theirs"), { once: true });
  });
}
