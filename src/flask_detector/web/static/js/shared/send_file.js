/** Sends a form with large files: with progress, and so that it can be cancelled. */

import { send } from "./send.js";

const MEGABYTE = 1e6;

/** @param {HTMLFormElement} form that `partials/sending.html` is in @param {string} tooLarge what to do about a file that is */
export function connectFileForm(form, tooLarge) {
  const file = /** @type {HTMLInputElement} */ (form.querySelector("[type=file]"));
  const sending = /** @type {HTMLElement} */ (form.querySelector(".sending"));
  const progress = /** @type {HTMLProgressElement} */ (form.querySelector("progress"));
  const words = /** @type {HTMLElement} */ (form.querySelector(".sending-words"));
  const notice = /** @type {HTMLElement} */ (form.querySelector(".sending-failed"));
  const begin = /** @type {HTMLButtonElement} */ (form.elements.namedItem("begin"));
  const stop = /** @type {HTMLButtonElement} */ (form.elements.namedItem("stop"));

  /** @type {AbortController | null} */
  let current = null;

  /** @returns {number} the size of the files chosen */
  function bytes() {
    return Array.from(file.files ?? []).reduce((sum, one) => sum + one.size, 0);
  }

  /** @param {boolean} isSending */
  function enter(isSending) {
    sending.hidden = stop.hidden = !isSending;
    begin.hidden = isSending;
    (isSending ? stop : begin).focus();
  }

  /** @param {{message: string, hint: string}} error */
  function tell(error) {
    const strong = document.createElement("strong");
    strong.textContent = error.message;
    notice.replaceChildren(strong, ` ${error.hint}`);
    notice.hidden = false;
  }

  /** @param {number} share of the file that has been sent, 0..1 */
  function show(share) {
    const size = bytes();
    progress.value = share * 100;
    words.textContent =
      share < 1
        ? `Uploading ${Math.floor((share * size) / MEGABYTE)} of ${Math.ceil(size / MEGABYTE)} MB`
        : "Checking the file";
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    notice.hidden = true;
    const most = Number(form.dataset.maxBytes);
    const size = bytes();
    if (size > most) {
      tell({ message: `The file has ${Math.ceil(size / MEGABYTE)} MB; at most ${most / MEGABYTE} MB are accepted.`, hint: tooLarge });
      return;
    }
    current = new AbortController();
    show(0);
    enter(true);
    try {
      const answer = await send(form.action, new FormData(form), current.signal, show);
      if ("error" in answer) {
        tell(answer.error);
      } else {
        location.assign(answer.url);
        if (new URL(answer.url, location.href).pathname === location.pathname) {
          location.reload(); // the address may differ from this page's in the part behind # alone
        }
        return;
      }
    } catch (error) {
      if (!current.signal.aborted) {
        throw error;
      }
    }
    enter(false);
  }

  form.addEventListener("submit", submit);
  stop.addEventListener("click", () => current?.abort());
}
