/** The front page: from a chosen picture to its detection's page. */

import { receivePictures } from "./receive.js";
import { measure, refusal } from "./refusal.js";
import { send } from "./send.js";
import { follow } from "./news.js";
import { bytes } from "./words.js";

// A detection that ends within this time is gone to when it is done, without the waiting page between.
const PATIENCE_MILLISECONDS = 1000;

const form = /** @type {HTMLFormElement} */ (document.getElementById("upload"));
const input = /** @type {HTMLInputElement} */ (form.elements.namedItem("picture"));
const chosen = /** @type {HTMLElement} */ (form.querySelector(".chosen"));
const thumbnail = /** @type {HTMLImageElement} */ (chosen.querySelector("img"));
const sending = /** @type {HTMLElement} */ (form.querySelector(".sending"));
const progress = /** @type {HTMLProgressElement} */ (form.querySelector("progress"));
const words = /** @type {HTMLElement} */ (form.querySelector(".sending-words"));
const notice = /** @type {HTMLElement} */ (form.querySelector(".notice"));
const detect = /** @type {HTMLButtonElement} */ (form.querySelector(".detect"));
const other = /** @type {HTMLButtonElement} */ (form.querySelector(".other"));
const cancel = /** @type {HTMLButtonElement} */ (form.querySelector(".cancel"));
const limits = { bytes: Number(form.dataset.maxBytes), pixels: Number(form.dataset.maxPixels) };

/** @type {AbortController | null} */
let current = null;

/** @param {"empty" | "chosen" | "sending"} state */
function enter(state) {
  form.dataset.state = state;
  chosen.hidden = state === "empty";
  sending.hidden = state !== "sending";
  detect.hidden = state === "sending";
  other.hidden = state !== "chosen";
  cancel.hidden = state !== "sending";
}

/** @param {{message: string, hint: string} | null} error */
function tell(error) {
  notice.hidden = error === null;
  notice.replaceChildren();
  if (error) {
    const strong = document.createElement("strong");
    strong.textContent = error.message;
    notice.append(strong, ` ${error.hint}`);
  }
}

function clear() {
  input.value = "";
  URL.revokeObjectURL(thumbnail.src);
  thumbnail.removeAttribute("src");
  enter("empty");
}

/** @param {File} file */
async function show(file) {
  tell(null);
  URL.revokeObjectURL(thumbnail.src);
  const wrong = await refusal(file, limits);
  if (wrong) {
    clear();
    tell(wrong);
    return;
  }
  thumbnail.src = URL.createObjectURL(file);
  put(".chosen-name", file.name);
  put(".chosen-size", bytes(file.size));
  enter("chosen");
  detect.focus();
  const size = await measure(thumbnail, limits);
  if (input.files?.[0] !== file) {
    return;
  }
  // Hidden for a format that this browser doesn't show, such as HEIC.
  /** @type {HTMLElement} */ (thumbnail.parentElement).hidden = size === null;
  if (size?.refusal) {
    clear();
    tell(size.refusal);
  } else if (size) {
    put(".chosen-size", `${bytes(file.size)}, ${size.width} × ${size.height} pixels`);
  }
}

/** @param {string} selector @param {string} text */
function put(selector, text) {
  /** @type {HTMLElement} */ (chosen.querySelector(selector)).textContent = text;
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  tell(null);
  current = new AbortController();
  progress.value = 0;
  words.textContent = "Sending";
  enter("sending");
  cancel.focus();
  try {
    const answer = await send(form, current.signal, (share) => {
      progress.value = share * 100;
      words.textContent = share < 1 ? `Sending, ${Math.floor(share * 100)}%` : "Looking at the picture";
    });
    if ("error" in answer) {
      enter("chosen");
      tell(answer.error);
    } else {
      await ended(answer.url, current.signal);
      location.assign(answer.url);
    }
  } catch (error) {
    if (!current.signal.aborted) {
      throw error;
    }
    enter("chosen");
    detect.focus();
  }
}

/**
 * Wait until a detection has ended, or patience has.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 */
function ended(url, signal) {
  return new Promise((resolve, reject) => {
    const stop = follow(`${url}/events`, `${url}/state`, (state) => state.final && finish(resolve));
    const timer = setTimeout(() => finish(resolve), PATIENCE_MILLISECONDS);
    signal.addEventListener("abort", () => finish(reject));

    /** @param {(value?: any) => void} settle */
    function finish(settle) {
      stop();
      clearTimeout(timer);
      settle();
    }
  });
}

receivePictures(input, show);
form.addEventListener("submit", submit);
other.addEventListener("click", () => input.click());
cancel.addEventListener("click", () => current?.abort());
// Back from a detection's page, the browser may show this one as it was left.
addEventListener("pageshow", (event) => event.persisted && enter(input.files?.length ? "chosen" : "empty"));

const example = /** @type {HTMLElement} */ (document.querySelector(".example"));
const exampleButton = /** @type {HTMLButtonElement} */ (example.querySelector("button"));
exampleButton.addEventListener("click", async () => {
  const answer = await fetch(/** @type {string} */ (exampleButton.dataset.example));
  const file = new File([await answer.blob()], "example.jpg", { type: "image/jpeg" });
  const transfer = new DataTransfer();
  transfer.items.add(file);
  input.files = transfer.files;
  await show(file);
});
example.hidden = false;
/** @type {HTMLElement} */ (form.querySelector(".drop-ways")).hidden = false;
enter("empty");
if (input.files?.[0]) {
  show(input.files[0]); // chosen before this script was there, or kept by the browser over a reload
}
