/** The front page: from chosen pictures to the page of their detection. */

import { Chosen } from "./chosen.js";
import { follow } from "../shared/follow.js";
import { connectOptions } from "./options.js";
import { put, receivePhoto, receivePictures } from "./receive.js";
import { send } from "../shared/send.js";

/** @typedef {import("./refusal.js").Refusal} Refusal */

// A detection that ends within this time is gone to when it is done, without the waiting page between.
const PATIENCE_MILLISECONDS = 1000;

const form = /** @type {HTMLFormElement} */ (document.getElementById("upload"));
const input = /** @type {HTMLInputElement} */ (form.elements.namedItem("picture"));
const list = /** @type {HTMLElement} */ (form.querySelector(".home-chosen"));
const sending = /** @type {HTMLElement} */ (form.querySelector(".home-sending"));
const progress = /** @type {HTMLProgressElement} */ (form.querySelector("progress"));
const words = /** @type {HTMLElement} */ (form.querySelector(".home-sending-words"));
const notice = /** @type {HTMLElement} */ (form.querySelector(".notice"));
const detect = /** @type {HTMLButtonElement} */ (form.querySelector(".home-detect"));
const other = /** @type {HTMLButtonElement} */ (form.querySelector(".home-other"));
const cancel = /** @type {HTMLButtonElement} */ (form.querySelector(".home-cancel"));
const photo = /** @type {HTMLElement} */ (form.querySelector(".home-photo"));
const example = /** @type {HTMLElement} */ (document.querySelector(".home-example"));

const chosen = new Chosen(list, /** @type {HTMLTemplateElement} */ (document.getElementById("chosen-picture")), {
  bytes: Number(form.dataset.maxBytes),
  pixels: Number(form.dataset.maxPixels),
  refusals: JSON.parse(form.dataset.refusals ?? ""),
});

/** @type {AbortController | null} */
let current = null;
/** @type {string[]} the detections' addresses of what has been sent */
let accepted = [];

/** @param {"empty" | "chosen" | "sending"} state */
function enter(state) {
  form.dataset.state = state;
  list.hidden = state === "empty";
  sending.hidden = state !== "sending";
  detect.hidden = state === "sending";
  other.hidden = state !== "chosen";
  photo.classList.toggle("away", state !== "empty");
  cancel.hidden = state !== "sending";
}

function forget() {
  notice.hidden = true;
  notice.replaceChildren();
}

/** @param {Refusal} error @param {string} [name] of the file, where it is one of several */
function report(error, name) {
  const line = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = name ? `${name}: ${error.message}` : error.message;
  line.append(strong, ` ${error.hint}`);
  notice.append(line);
  notice.hidden = false;
}

/** @param {File[]} files */
async function show(files) {
  forget();
  const most = Number(form.dataset.mostTogether);
  if (files.length > most) {
    report({ message: `You chose ${files.length} pictures; at most ${most} can be uploaded at once.`, hint: "Upload the others afterwards." });
    files = files.slice(0, most);
  }
  await chosen.show(files, (file, error) => {
    report(error, files.length > 1 ? file.name : undefined);
    settle();
  });
  settle();
  detect.focus();
}

function settle() {
  if (!chosen.files.length) {
    input.value = "";
  }
  enter(chosen.files.length ? "chosen" : "empty");
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  forget();
  current = new AbortController();
  accepted = [];
  enter("sending");
  cancel.focus();
  try {
    await (chosen.files.length === 1 ? sendOne(current.signal) : sendSeveral(current.signal));
  } catch (error) {
    if (!current.signal.aborted) {
      throw error;
    }
    accepted.forEach(takeBack);
    enter("chosen");
    detect.focus();
  }
}

/** @param {AbortSignal} signal */
async function sendOne(signal) {
  const answer = await sendFile(chosen.files[0], signal, "Uploading", 0, 1);
  if ("error" in answer) {
    enter("chosen");
    report(answer.error);
  } else {
    accepted.push(answer.url);
    words.textContent = "Reading the picture";
    await ended(answer.url, signal);
    location.assign(answer.url);
  }
}

/** One after the other, since each may be as large as a request. @param {AbortSignal} signal */
async function sendSeveral(signal) {
  const files = [...chosen.files];
  const ids = [];
  for (const [i, file] of files.entries()) {
    const answer = await sendFile(file, signal, `Uploading ${i + 1} of ${files.length}`, i, files.length);
    if ("error" in answer) {
      report(answer.error, file.name);
    } else {
      accepted.push(answer.url);
      ids.push(answer.id);
    }
  }
  if (!ids.length) {
    enter("chosen");
    return;
  }
  const batch = new FormData(form);
  batch.delete("picture");
  ids.forEach((id) => batch.append("detection", id));
  const answer = await send(form.dataset.batches ?? "", batch, signal);
  if ("error" in answer) {
    enter("chosen");
    report(answer.error);
  } else if (ids.length === files.length) {
    location.assign(answer.url);
  } else {
    const link = document.createElement("a");
    link.href = answer.url;
    link.textContent = ids.length === 1 ? "View the other one" : `View the other ${ids.length}`;
    notice.append(link);
    chosen.clear();
    settle();
    link.focus();
  }
}

/** Delete what was sent before the sending was cancelled. @param {string} url */
function takeBack(url) {
  const token = new FormData();
  token.set("csrf_token", new FormData(form).get("csrf_token") ?? "");
  send(`${url}/delete`, token, new AbortController().signal);
}

/**
 * Send one of several files, and show the progress of all.
 *
 * @param {File} file
 * @param {AbortSignal} signal
 * @param {string} what
 * @param {number} before how many have been sent
 * @param {number} all
 */
function sendFile(file, signal, what, before, all) {
  const data = new FormData(form);
  data.set("picture", file);
  progress.value = (before / all) * 100;
  words.textContent = what;
  return send(form.action, data, signal, (share) => {
    progress.value = ((before + share) / all) * 100;
    words.textContent = `${what}, ${Math.floor(share * 100)}%`;
  });
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
receivePhoto(/** @type {HTMLInputElement} */ (photo.querySelector("input")), input, show);
connectOptions(form);
form.addEventListener("submit", submit);
other.addEventListener("click", () => input.click());
cancel.addEventListener("click", () => current?.abort());
// Back from a detection's page, the browser may show this one as it was left.
addEventListener("pageshow", (event) => event.persisted && settle());

const exampleButton = /** @type {HTMLButtonElement} */ (example.querySelector("button"));
exampleButton.addEventListener("click", async () => {
  const answer = await fetch(exampleButton.dataset.example ?? "");
  const file = new File([await answer.blob()], "example.jpg", { type: "image/jpeg" });
  put(input, [file]);
  await show([file]);
});
example.hidden = false;
/** @type {HTMLElement} */ (form.querySelector(".home-drop-ways")).hidden = false;
photo.hidden = !matchMedia("(pointer: coarse)").matches;
enter("empty");
if (input.files?.length) {
  show([...input.files]); // chosen before this script was there, or kept by the browser over a reload
}
