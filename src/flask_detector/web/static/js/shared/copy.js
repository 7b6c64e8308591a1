/** Copies to the clipboard, where the browser lets pages do so (on this machine, or over HTTPS). */

/** Whether it does. */
export const canCopy = Boolean(navigator.clipboard) && typeof ClipboardItem !== "undefined";

/** @param {HTMLElement} page */
export function connectCopying(page) {
  if (!canCopy) {
    return;
  }
  for (const [name, type, format] of [
    ["copy-picture", "image/png", "png"],
    ["copy-data", "text/plain", "json"],
  ]) {
    const button = /** @type {HTMLButtonElement} */ (page.querySelector(`[name="${name}"]`));
    // What is copied is what a link of the menu would download.
    const link = /** @type {HTMLAnchorElement} */ (page.querySelector(`[data-copy="${format}"]`));
    button.addEventListener("click", () => copy(page, button, type, get(link.href)));
    /** @type {HTMLElement} */ (button.parentElement).hidden = false;
  }
}

/**
 * Copy what a promise brings, and say so on the button.
 *
 * The promise goes into the item, since Safari forgets the click while it is awaited outside.
 *
 * @param {HTMLElement} page @param {HTMLButtonElement} button @param {string} type @param {Promise<Blob | string>} content
 */
export async function copy(page, button, type, content) {
  const said = /** @type {HTMLElement} */ (page.querySelector("#said"));
  const words = (button.dataset.words ??= button.textContent ?? "");
  said.textContent = ""; // so that the same words are said again
  try {
    const blob = content.then((data) => new Blob([data], { type }));
    await navigator.clipboard.write([new ClipboardItem({ [type]: blob })]);
    said.textContent = button.textContent = "Copied";
  } catch {
    said.textContent = button.textContent = "Could not copy";
  }
  setTimeout(() => (button.textContent = words), 2000);
}

/** @param {string} url */
async function get(url) {
  const answer = await fetch(url);
  if (!answer.ok) {
    throw new Error(`the server returned ${answer.status}`);
  }
  return answer.blob();
}
