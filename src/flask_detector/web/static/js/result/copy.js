/** Copies to the clipboard, where the browser lets pages do so (on this machine, or over HTTPS). */

/** @typedef {import("./view.js").View} View */

/**
 * @param {HTMLElement} page
 * @param {View} view
 */
export function connectCopying(page, view) {
  if (!navigator.clipboard || typeof ClipboardItem === "undefined") {
    return;
  }
  const said = /** @type {HTMLElement} */ (page.querySelector("#said"));
  const link = /** @type {HTMLInputElement | null} */ (page.querySelector("#link"));

  /** @type {Record<string, () => Promise<void>>} */
  const acts = {
    // The promise goes into the item, since Safari forgets the click while it is awaited outside.
    "copy-picture": () =>
      navigator.clipboard.write([new ClipboardItem({ "image/png": get(address("png")).then((a) => a.blob()) })]),
    "copy-data": async () => navigator.clipboard.writeText(await (await get(address("json"))).text()),
    "copy-link": () => navigator.clipboard.writeText(link?.value ?? ""),
  };

  /** @param {string} name of a link in the menu: what is copied is what it would download */
  function address(name) {
    return /** @type {HTMLAnchorElement} */ (page.querySelector(`[data-copy="${name}"]`)).href;
  }

  for (const [name, act] of Object.entries(acts)) {
    const button = /** @type {HTMLButtonElement | null} */ (page.querySelector(`[name="${name}"]`));
    button?.addEventListener("click", async () => {
      const words = button.textContent;
      said.textContent = ""; // so that the same words are said again
      try {
        await act();
        said.textContent = button.textContent = "Copied";
      } catch {
        said.textContent = button.textContent = "Could not copy";
      }
      setTimeout(() => (button.textContent = words), 2000);
    });
  }
  for (const hidden of page.querySelectorAll(".menu li[hidden], [name=copy-link]")) {
    /** @type {HTMLElement} */ (hidden).hidden = false;
  }

  if (link) {
    const bare = link.value;
    const show = () => (link.value = bare + view.search);
    view.addEventListener("change", show);
    show();
  }
}

/** @param {string} url */
async function get(url) {
  const answer = await fetch(url);
  if (!answer.ok) {
    throw new Error(`the server returned ${answer.status}`);
  }
  return answer;
}
