/** A button that pastes, where there are no keys for it; shown where the browser lets a page ask for the clipboard. */

import { urlIn } from "../shared/incoming.js";

/** @typedef {import("../shared/incoming.js").Item} Item */

/**
 * @param {HTMLButtonElement} button
 * @param {(items: Item[]) => void} onItems
 * @param {(refusal: import("../shared/refusal.js").Refusal) => void} onNothing
 */
export function connectPaste(button, onItems, onNothing) {
  if (!navigator.clipboard?.read || !matchMedia("(pointer: coarse)").matches) {
    return;
  }
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      const items = await itemsOf(await navigator.clipboard.read());
      if (items.length) {
        onItems(items);
      } else {
        onNothing({ message: "There is no picture on the clipboard.", hint: "Copy one, or the URL of one." });
      }
    } catch {
      onNothing({ message: "The clipboard can’t be read.", hint: "Let this page read it, or choose a file." });
    }
  });
}

/** @param {ClipboardItem[]} copied @returns {Promise<Item[]>} */
async function itemsOf(copied) {
  /** @type {Item[]} */
  const items = [];
  for (const one of copied) {
    const kind = one.types.find((type) => type.startsWith("image/"));
    if (kind) {
      items.push(new File([await one.getType(kind)], `pasted.${kind.slice("image/".length)}`, { type: kind }));
    } else if (one.types.includes("text/plain")) {
      const url = urlIn(await (await one.getType("text/plain")).text());
      items.push(...(url ? [url] : []));
    }
  }
  return items;
}
