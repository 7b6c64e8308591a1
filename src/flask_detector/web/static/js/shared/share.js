/** Makes the link that others can open, and copies it with what is shown. */

import { canCopy, copy } from "./copy.js";

/**
 * Return a function that is to be called when what is shown has changed.
 *
 * @param {HTMLElement} page
 * @param {() => string} search returns the query of what is shown, with its question mark
 */
export function connectSharing(page, search) {
  const link = /** @type {HTMLInputElement | null} */ (page.querySelector("#link"));
  if (!link) {
    return () => {}; // whoever was given the link
  }
  const unshared = /** @type {HTMLElement} */ (page.querySelector("#unshared"));
  const shared = /** @type {HTMLElement} */ (page.querySelector("#shared"));
  const form = /** @type {HTMLFormElement} */ (unshared.querySelector("form"));
  const button = /** @type {HTMLButtonElement} */ (shared.querySelector("[name=copy-link]"));
  const withdrawal = /** @type {HTMLFormElement} */ (shared.querySelector("form"));
  let bare = link.value;

  const show = () => {
    link.value = bare && bare + search();
    withdrawal.action = withdrawal.action.replace(/\?.*|$/, search()); // leads back to what is shown
  };
  show();
  link.addEventListener("focus", () => link.select());
  button.addEventListener("click", () => copy(page, button, "text/plain", Promise.resolve(link.value)));
  button.hidden = !canCopy;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const making = make(form);
    if (canCopy) {
      copy(page, button, "text/plain", making.then((made) => made + search()));
    }
    try {
      bare = await making;
    } catch {
      form.submit(); // the server's page says what is wrong
      return;
    }
    show();
    unshared.hidden = true;
    shared.hidden = false;
    link.focus({ preventScroll: true });
  });
  return show;
}

/** @param {HTMLFormElement} form @returns {Promise<string>} the link */
async function make(form) {
  const headers = { Accept: "application/json" };
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers });
  if (!answer.ok) {
    throw new Error(`the server returned ${answer.status}`);
  }
  return (await answer.json()).link;
}
