/** The front page: from chosen pictures to the page of their detection. */

import { Chosen } from "./chosen.js";
import { looksLikePicture } from "./folders.js";
import { follow } from "../shared/follow.js";
import { connectOptions } from "./options.js";
import { put, receiveFrom, receivePictures } from "./receive.js";
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
const folder = /** @type {HTMLElement} */ (form.querySelector(".home-folder"));
const photo = /** @type {HTMLElement} */ (form.querySelector(".home-photo"));
const example = /** @type {HTMLElement} */ (document.querySelector(".home-example"));

const limits = {
  bytes: Number(form.dataset.maxBytes),
  pixels: Number(form.dataset.maxPixels),
  refusals: JSON.parse(form.dataset.refusals ?? ""),
};
const template = /** @type {HTMLTemplateElement} */ (document.getElementById("chosen-picture"));
const chosen = new Chosen(list, template, limits, settle);

/** @type {AbortController | null} */
let current = null;
/** @type {{id: string, url: string}[]} the detections of what has been sent */
let accepted = [];

/** @param {"empty" | "chosen" | "sending"} state */
function enter(state) {
  form.dataset.state = state;
  list.hidden = state === "empty";
  sending.hidden = state !== "sending";
  detect.hidden = state === "sending";
  other.hidden = state !== "chosen";
  photo.classList.toggle("away", state === "sending");
  folder.classList.toggle("away", state === "sending");
  warnOnLeaving(state === "sending");
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

/** @param {boolean} on */
function warnOnLeaving(on) {
  const act = on ? addEventListener : removeEventListener;
  act("beforeunload", warn);
  act("pagehide", keepTogether);
}

/** @param {Event} event */
function warn(event) {
  event.preventDefault();
}

/** What was sent before the page is left is a batch all the same. */
function keepTogether() {
  if (chosen.files.length > 1 && accepted.length) {
    navigator.sendBeacon(form.dataset.batches ?? "", batchOf(accepted));
  }
}

/** @param {{id: string}[]} detections */
function batchOf(detections) {
  const data = new FormData(form);
  data.delete("picture");
  detections.forEach(({ id }) => data.append("detection", id));
  return data;
}

/** @param {string} url */
function leaveFor(url) {
  warnOnLeaving(false);
  location.assign(url);
}

/** Add files to the choice. @param {File[]} files */
async function add(files) {
  forget();
  const most = Number(form.dataset.mostTogether);
  const all = chosen.files.length + files.length;
  if (!files.length) {
    report({ message: "There is no picture in this folder.", hint: "Choose another one." });
  } else if (all > most) {
    report({ message: `You chose ${all} pictures; at most ${most} can be uploaded at once.`, hint: "Upload the others afterwards." });
    files = files.slice(0, most - chosen.files.length);
  }
  await chosen.add(files, (file, error) => {
    report(error, all > 1 ? file.name : undefined);
    settle();
  });
  settle();
  detect.focus();
}

function settle() {
  put(input, chosen.files);
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
    accepted.forEach(({ url }) => takeBack(url));
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
    accepted.push(answer);
    words.textContent = "Reading the picture";
    await ended(answer.url, signal);
    leaveFor(answer.url);
  }
}

/** One after the other, since each may be as large as a request. @param {AbortSignal} signal */
async function sendSeveral(signal) {
  const files = [...chosen.files];
  /** @type {File[]} */
  let unsent = [];
  for (const [i, file] of files.entries()) {
    const answer = await sendFile(file, signal, `Uploading ${i + 1} of ${files.length}`, i, files.length);
    if (!("error" in answer)) {
      accepted.push(answer);
    } else if (answer.error.code) {
      report(answer.error, file.name);
    } else {
      report(answer.error);
      unsent = files.slice(i); // the server is away: the others are not tried, and stay chosen
      break;
    }
  }
  if (!accepted.length) {
    enter("chosen");
    return;
  }
  const answer = await send(form.dataset.batches ?? "", batchOf(accepted), signal);
  if ("error" in answer) {
    enter("chosen");
    report(answer.error);
  } else if (accepted.length === files.length) {
    leaveFor(answer.url);
  } else {
    const link = document.createElement("a");
    link.href = answer.url;
    link.textContent = accepted.length === 1 ? "View the other one" : `View the other ${accepted.length}`;
    notice.append(link);
    chosen.keep(unsent);
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

receivePictures(input, add);
receiveFrom(/** @type {HTMLInputElement} */ (photo.querySelector("input")), add);
receiveFrom(/** @type {HTMLInputElement} */ (folder.querySelector("input")), (files) => add(files.filter(looksLikePicture)));
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
  await add([file]);
});
example.hidden = false;
/** @type {HTMLElement} */ (form.querySelector(".home-drop-ways")).hidden = false;
photo.hidden = !matchMedia("(pointer: coarse)").matches;
folder.hidden = !photo.hidden; // phones have no folders to choose
enter("empty");
if (input.files?.length) {
  add([...input.files]); // chosen before this script was there, or kept by the browser over a reload
}
