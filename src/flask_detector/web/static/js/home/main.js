/** The front page: from chosen pictures to the page of their detection. */

import { Chosen } from "./chosen.js";
import { put, receiveFrom } from "./fields.js";
import { connectOptions } from "./options.js";
import { connectPaste } from "./paste.js";
import { looksLikePicture } from "../shared/folders.js";
import { nameOf, receivePictures, urlIn } from "../shared/incoming.js";
import { limitsOf, NO_PICTURE, paragraphOf, tooMany } from "../shared/refusal.js";
import { grouped, Upload } from "../shared/upload.js";

/** @typedef {import("../shared/incoming.js").Item} Item */
/** @typedef {import("../shared/refusal.js").Refusal} Refusal */
/** @typedef {import("../shared/upload.js").Outcome} Outcome */

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
const paste = /** @type {HTMLButtonElement} */ (form.querySelector(".home-paste"));
const example = /** @type {HTMLElement} */ (document.querySelector(".home-example"));

const address = /** @type {HTMLInputElement | null} */ (form.elements.namedItem("url"));
const target = /** @type {HTMLElement} */ (document.getElementById("drop-target"));

const limits = limitsOf(form);
const template = /** @type {HTMLTemplateElement} */ (document.getElementById("chosen-picture"));
const chosen = new Chosen(list, template, limits, settle);
const upload = new Upload(form);

/** @type {AbortController | null} */
let current = null;

/** @param {"empty" | "chosen" | "sending"} state */
function enter(state) {
  form.dataset.state = state;
  list.hidden = state === "empty";
  sending.hidden = state !== "sending";
  detect.hidden = state === "sending";
  other.hidden = state !== "chosen";
  [photo, folder, paste].forEach((way) => way.classList.toggle("away", state === "sending"));
  cancel.hidden = state !== "sending";
}

function forget() {
  notice.hidden = true;
  notice.replaceChildren();
}

/** @param {Refusal} error @param {string} [name] of the file, where it is one of several */
function report(error, name) {
  notice.append(paragraphOf(error, name));
  notice.hidden = false;
}

/** Add pictures to the choice. @param {Item[]} items */
async function add(items) {
  if (form.dataset.state === "sending") {
    report({ message: "These pictures are still being sent.", hint: "Add more afterwards." });
    return;
  }
  forget();
  const all = chosen.items.length + items.length;
  if (!items.length) {
    report(NO_PICTURE);
  } else if (all > limits.most) {
    report(tooMany(all, limits));
    items = items.slice(0, limits.most - chosen.items.length);
  }
  await chosen.add(items, (item, error) => {
    report(error, all > 1 ? nameOf(item) : undefined);
    settle();
  });
  settle();
  detect.focus();
}

/** Add what is written as a URL; return whether there is nothing else. */
async function addAddress() {
  const url = urlIn(address?.value ?? "");
  if (url && address) {
    await add([url]);
    address.value = "";
  }
  return Boolean(address?.reportValidity() && !address.value);
}

function settle() {
  put(input, chosen.files);
  if (!chosen.items.length) {
    upload.batch = ""; // nothing is left of what was begun
  }
  enter(chosen.items.length ? "chosen" : "empty");
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if ((address && !(await addAddress())) || !chosen.items.length) {
    return;
  }
  forget();
  current = new AbortController();
  const { signal } = current;
  enter("sending");
  cancel.focus();
  const items = [...chosen.items];
  try {
    const outcome = await upload.send(items, signal, (progress) => show(progress, items.length));
    if (items.length === 1 && outcome.accepted.length === 1) {
      words.textContent = "Reading the picture";
      const { ended } = await import("../shared/outcome.js");
      await ended(outcome.accepted[0].url, signal);
    }
    finish(outcome, items.length);
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
    upload.takeBack();
    enter("chosen");
    detect.focus();
  }
}

/** @param {import("../shared/upload.js").Progress} progress @param {number} all */
function show({ index, share, trouble }, all) {
  const what = all === 1 ? "Uploading" : `Uploading ${index + 1} of ${all}`;
  progress.value = ((index + share) / all) * 100;
  words.textContent = trouble ? `${trouble.message} Trying again…` : `${what}, ${Math.floor(progress.value)}%`;
}

/** Go to what was sent; stay where something was not, and say what and why. @param {Outcome} outcome @param {number} all */
function finish({ accepted, refused, unsent, trouble }, all) {
  const last = accepted.at(-1);
  if (last && accepted.length === all) {
    location.assign(last.batch_url ?? last.url);
    return;
  }
  const names = refused.map(({ item, error }) => ({ name: nameOf(item), error }));
  grouped(names).forEach(({ name, ...error }) => report(error, all > 1 ? name : undefined));
  if (trouble) {
    report(trouble);
  }
  if (!accepted.length && !unsent.length) {
    enter("chosen");
    return;
  }
  chosen.keep(unsent);
  settle();
  if (last) {
    const link = document.createElement("a");
    link.href = last.batch_url ?? last.url;
    link.textContent = accepted.length === 1 ? "View the other one" : `View the other ${accepted.length}`;
    const sent = `${accepted.length} of ${all} were sent and stay together.`;
    const rest = unsent.length === 1 ? "The last one is" : `The other ${unsent.length} are`;
    report({ message: sent, hint: unsent.length ? `${rest} still chosen: press “Detect objects” to go on.` : "" });
    notice.append(link);
    link.focus();
  }
}

receivePictures(target, add);
input.addEventListener("change", () => input.files?.length && add([...input.files]));
connectPaste(paste, add, (error) => {
  forget();
  report(error);
});
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
input.required = false; // a URL will do
const addressButton = form.querySelector("[name=add-url]");
if (addressButton instanceof HTMLButtonElement) {
  addressButton.hidden = false;
  addressButton.addEventListener("click", addAddress);
}
photo.hidden = !matchMedia("(pointer: coarse)").matches;
folder.hidden = !photo.hidden; // phones have no folders to choose
enter("empty");
if (input.files?.length) {
  add([...input.files]); // chosen before this script was there, or kept by the browser over a reload
}
