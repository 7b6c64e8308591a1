/**
 * Saves a picture's objects by itself. What is not saved yet is kept in the browser, so that neither a reload nor a
 * lost connection nor a closed tab loses it; where somebody else was first, nothing is overwritten.
 */

import { Refusal, current, messageOf } from "./document.js";

const PAUSE = 400; // milliseconds that the hand must rest
const FIRST_WAIT = 1000; // after a failure; each wait is twice as long as the one before
const LONGEST_WAIT = 20_000;

/** @typedef {import("./document.js").Document} Document */
/**
 * What of a picture is not saved: the version it was made from, what was sent without an answer, what is to be sent.
 *
 * @typedef {{etag: string, sent: Document | null, document: Document, at: number}} Draft
 */
/** @typedef {{get: () => Draft | null, put: (draft: Draft | null) => boolean}} Drafts */
/** @typedef {{etag: string, document: Document, message: string}} Rival the version that was first, and who saved it when */
/** @typedef {{kind: "saved" | "unsaved" | "saving"} | {kind: "waiting" | "refused", message: string} | {kind: "conflict", rival: Rival}} Status */

/** Dispatches "change" when its status does. */
export class Saver extends EventTarget {
  /** @type {Status} */
  status = { kind: "saved" };
  /** @type {Document | null} */
  #sent = null;
  /** @type {Document | null} */
  #next = null;
  #wait = FIRST_WAIT;
  #running = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  isKept = true; // whether the browser could keep what is not saved

  /**
   * @param {string} url
   * @param {string} token against forgery by other sites
   * @param {string} etag of the version that the page shows
   * @param {Drafts} drafts
   * @param {typeof fetch} request
   */
  constructor(url, token, etag, drafts, request = (...args) => fetch(...args)) {
    super();
    this.url = url;
    this.token = token;
    this.etag = etag;
    this.drafts = drafts;
    this.request = request;
  }

  get isDone() {
    return !this.#next && !this.#sent;
  }

  /** Save a document soon. @param {Document} document */
  save(document) {
    this.#next = document;
    this.#keep();
    if (this.status.kind === "conflict") {
      return;
    }
    this.#tell({ kind: "unsaved" });
    if (!this.#running) {
      this.#in(PAUSE);
    }
  }

  /** Go on with what a draft of this version holds. @param {Draft} draft */
  resume({ sent, document }) {
    this.#sent = sent;
    this.#next = document;
    this.#keep();
    this.#tell({ kind: "unsaved" });
    this.#in(0);
  }

  /** Try at once, not after the pause or the next wait. */
  now() {
    if (!this.#running && !this.isDone && this.status.kind !== "conflict") {
      this.#in(0);
    }
  }

  /** Return whether all is saved, as soon as it is or can't be. @returns {Promise<boolean>} */
  async flush() {
    this.now();
    while (this.status.kind === "saving" || this.status.kind === "unsaved") {
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
    return this.isDone;
  }

  /** End a conflict: the other version is the one that is changed from here on. @param {Rival} rival @param {Document | null} mine to save in its place */
  settle({ etag }, mine) {
    this.etag = etag;
    this.#sent = null;
    this.#next = mine;
    this.#keep();
    this.#tell({ kind: mine ? "unsaved" : "saved" });
    if (mine) {
      this.#in(0);
    }
  }

  /** @param {number} milliseconds */
  #in(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), milliseconds);
  }

  async #run() {
    if (this.#running) {
      return;
    }
    this.#running = true;
    let ok = true;
    while (ok && !this.isDone) {
      // What was sent without an answer may have arrived: the server knows it again, but not what came after it.
      this.#sent ??= this.#next;
      this.#tell({ kind: "saving" });
      ok = await this.#send(/** @type {Document} */ (this.#sent));
    }
    this.#running = false;
    if (ok) {
      this.#tell({ kind: "saved" });
    }
  }

  /** Return whether it was saved. @param {Document} document */
  async #send(document) {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": this.token, "If-Match": this.etag };
    let response;
    try {
      this.#keep();
      const body = JSON.stringify(document);
      response = await this.request(this.url, { method: "PUT", headers: { ...headers, Accept: "application/json" }, body });
      if (response.ok) {
        await response.text();
      }
    } catch {
      return this.#retry("The server can’t be reached");
    }
    if (response.ok) {
      this.etag = response.headers.get("ETag") ?? this.etag;
      this.#wait = FIRST_WAIT;
      this.#sent = null;
      if (this.#next === document) {
        this.#next = null;
      }
      this.#keep();
      return true;
    }
    const message = await messageOf(response);
    if (response.status === 412) {
      return this.#conflict(message);
    }
    if (response.status >= 500 || response.status === 429) {
      return this.#retry(message);
    }
    this.#sent = null;
    this.#tell({ kind: "refused", message });
    return false;
  }

  /** @param {string} message */
  async #conflict(message) {
    try {
      const rival = { ...(await current(this.url, this.request)), message };
      this.#next ??= this.#sent;
      this.#sent = null;
      this.#tell({ kind: "conflict", rival });
    } catch (error) {
      return this.#retry(error instanceof Refusal ? error.message : "The server can’t be reached");
    }
    return false;
  }

  /** @param {string} message */
  #retry(message) {
    this.#tell({ kind: "waiting", message });
    this.#in(this.#wait);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    return false;
  }

  #keep() {
    const document = this.#next ?? this.#sent;
    const draft = document && { etag: this.etag, sent: this.#sent === document ? null : this.#sent, document, at: Date.now() };
    this.isKept = this.drafts.put(draft);
  }

  /** @param {Status} status */
  #tell(status) {
    this.status = status;
    this.dispatchEvent(new Event("change"));
  }
}
