/**
 * Sends pictures by the front page's form, as that page would with the options it has now, and leads to the result or
 * the batch; where something on this page is not saved, by a link. A page that takes pictures itself, as a collection
 * does, has such a form of its own, which says where it leads.
 */

import { nameOf } from "../shared/incoming.js";
import { ended } from "../shared/outcome.js";
import { limitsOf, NO_PICTURE, paragraphOf, refusal, tooMany } from "../shared/refusal.js";
import { grouped, Upload } from "../shared/upload.js";
import { isUnsaved } from "./unsaved.js";

/** @typedef {import("../shared/incoming.js").Item} Item */
/** @typedef {import("../shared/refusal.js").Limits} Limits */
/** @typedef {import("../shared/refusal.js").Refusal} Refusal */

/** @type {AbortController | null} while something is sent */
let current = null;
/** @type {Promise<HTMLFormElement> | undefined} */
let form;

/** @param {HTMLElement} panel */
function formOf(panel) {
  const own = /** @type {HTMLFormElement | null} */ (document.getElementById("upload"));
  form ??= own ? Promise.resolve(own) : loadForm(panel.dataset.home ?? "");
  form.catch(() => (form = undefined));
  return form;
}

/** @param {string} url @returns {Promise<HTMLFormElement>} the front page's form */
async function loadForm(url) {
  const answer = await fetch(url);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById("upload");
  if (!(found instanceof HTMLFormElement)) {
    throw new Error(`the server returned ${answer.status}`);
  }
  return found;
}

/** Say what pictures will be sent for, and with which model. @param {HTMLElement} panel @param {HTMLElement} place */
export async function namePurpose(panel, place) {
  const form = await formOf(panel);
  const model = form.querySelector("[name=model]:checked");
  const purpose = model instanceof HTMLElement ? `to detect objects with ${model.dataset.title}` : "";
  place.textContent = form.dataset.purpose ?? purpose;
}

/** @param {HTMLElement} panel @param {Item[]} items */
export async function sendAtOnce(panel, items) {
  const show = new Panel(panel, () => current?.abort());
  if (current) {
    show.report({ message: "Other pictures are still being sent.", hint: "Drop these again afterwards." });
    return;
  }
  show.open();
  current = new AbortController();
  const { signal } = current;
  try {
    await send(panel, show, items, signal);
  } catch {
    if (signal.aborted) {
      panel.hidden = true;
    } else {
      show.report({ message: "The server could not be reached.", hint: "Check your connection and try again." });
      show.rest("");
    }
  }
  current = null;
}

/** @param {HTMLElement} panel @param {Panel} show @param {Item[]} items @param {AbortSignal} signal */
async function send(panel, show, items, signal) {
  const form = await formOf(panel);
  const limits = limitsOf(form);
  const good = await sendable(items, limits, show);
  const upload = new Upload(form);
  signal.addEventListener("abort", () => upload.takeBack());
  const { accepted, refused, unsent, trouble } = await upload.send(good, signal, ({ index, share, trouble }) => {
    show.progress((index + share) / good.length);
    const what = good.length === 1 ? `Uploading ${nameOf(good[0])}` : `Uploading ${index + 1} of ${good.length}`;
    show.say(trouble ? `${trouble.message} Trying again…` : what);
  });
  grouped(refused.map(({ item, error }) => ({ name: nameOf(item), error }))).forEach((one) => show.report(one));
  if (trouble) {
    const rest = unsent.length === good.length ? "" : ` ${unsent.length} of ${good.length} were not sent: drop them again.`;
    show.report({ message: trouble.message, hint: trouble.hint + rest });
  }
  const last = accepted.at(-1);
  if (!last) {
    show.rest("");
    return;
  }
  const { leads } = form.dataset;
  if (accepted.length === 1 && items.length === 1 && !leads) {
    await ended(last.url, signal);
  }
  const url = leads ?? last.batch_url ?? last.url;
  if (accepted.length === items.length && !isUnsaved()) {
    location.assign(url);
  } else {
    show.lead(url, accepted.length);
  }
}

/** Return what of pictures can be sent, and say why the rest can't. @param {Item[]} items @param {Limits} limits @param {Panel} show */
async function sendable(items, limits, show) {
  if (!items.length) {
    show.report(NO_PICTURE);
  }
  if (items.length > limits.most) {
    show.report(tooMany(items.length, limits));
  }
  const good = [];
  const refused = [];
  for (const item of items.slice(0, limits.most)) {
    const error = await refusal(item, limits);
    if (error) {
      refused.push({ name: nameOf(item), error });
    } else {
      good.push(item);
    }
  }
  grouped(refused).forEach((one) => show.report(one));
  return good;
}

/** What the panel in the corner shows. */
class Panel {
  /** @param {HTMLElement} panel @param {() => void} onClosed */
  constructor(panel, onClosed) {
    this.panel = panel;
    this.words = /** @type {HTMLElement} */ (panel.querySelector(".incoming-words"));
    this.bar = /** @type {HTMLProgressElement} */ (panel.querySelector("progress"));
    this.errors = /** @type {HTMLElement} */ (panel.querySelector("[role=alert]"));
    this.link = /** @type {HTMLAnchorElement} */ (panel.querySelector("a"));
    this.button = /** @type {HTMLButtonElement} */ (panel.querySelector("button"));
    this.onClosed = onClosed;
  }

  open() {
    this.errors.replaceChildren();
    this.link.hidden = true;
    this.bar.hidden = false;
    this.bar.value = 0;
    this.button.textContent = "Cancel";
    this.button.onclick = () => {
      this.onClosed();
      this.panel.hidden = true;
    };
    this.say("Reading what came");
    this.panel.hidden = false;
  }

  /** @param {string} words */
  say(words) {
    this.words.textContent = words;
  }

  /** Show that nothing is sent any more. @param {string} words */
  rest(words) {
    this.say(words);
    this.bar.hidden = true;
    this.button.textContent = "Close";
  }

  /** @param {number} share 0..1 */
  progress(share) {
    this.bar.value = share * 100;
  }

  /** @param {Refusal & {name?: string}} error */
  report(error) {
    this.errors.append(paragraphOf(error, error.name));
    this.panel.hidden = false;
  }

  /** Offer what was sent, without leaving this page for it. @param {string} url @param {number} number of pictures */
  lead(url, number) {
    this.rest(number === 1 ? "1 picture was sent." : `${number} pictures were sent.`);
    this.link.href = url;
    this.link.textContent = number === 1 ? "View it" : "View them";
    this.link.hidden = false;
    this.link.focus();
  }
}
