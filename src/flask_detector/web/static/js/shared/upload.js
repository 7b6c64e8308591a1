/**
 * Sends pictures one after the other, since each may be as large as a request. Of several each joins a batch as it is
 * accepted, so that they are one whatever happens to the page.
 */

import { send } from "./send.js";

/** @typedef {import("./incoming.js").Item} Item */
/** @typedef {import("./send.js").Trouble} Trouble */
/**
 * `became`: in a collection, "added" of what was not there before.
 *
 * @typedef {{id: string, url: string, batch?: string, batch_url?: string, became?: string}} Accepted
 */
/**
 * What became of pictures: `unsent` were not tried for the reason that `trouble` says.
 *
 * @typedef {{accepted: Accepted[], refused: {item: Item, error: Trouble}[], unsent: Item[], trouble: Trouble | null}} Outcome
 */
/** @typedef {{index: number, share: number, trouble: Trouble | null}} Progress of the picture with that index; share is 0..1 */

const OF_ONE_PICTURE = [400, 413, 415, 422]; // what another picture may be spared
const WAITS = [1000, 3000, 6000]; // milliseconds, before a server that is away is asked again

export class Upload {
  /** The batch of what was accepted before the server could take no more; the next pictures join it. */
  batch = "";
  /** @type {Accepted[]} by the last `send` */
  #accepted = [];
  /** @type {WeakMap<Item, string>} what tells the server that a picture comes again */
  #keys = new WeakMap();

  /** @param {HTMLFormElement} form the front page's, which says what is sent with each picture */
  constructor(form) {
    this.form = form;
  }

  /**
   * Send pictures until all are sent, or the server can't take more; warn of leaving the page meanwhile.
   *
   * @param {Item[]} items
   * @param {AbortSignal} signal rejects with an AbortError
   * @param {(progress: Progress) => void} onProgress
   * @returns {Promise<Outcome>}
   */
  async send(items, signal, onProgress) {
    addEventListener("beforeunload", warn);
    try {
      return await this.#sendAll(items, signal, onProgress);
    } finally {
      removeEventListener("beforeunload", warn);
    }
  }

  /** @param {Item[]} items @param {AbortSignal} signal @param {(progress: Progress) => void} onProgress */
  async #sendAll(items, signal, onProgress) {
    this.#accepted = [];
    /** @type {Outcome} */
    const outcome = { accepted: this.#accepted, refused: [], unsent: [], trouble: null };
    const isBatch = items.length > 1 || this.batch !== "";
    for (const [index, item] of items.entries()) {
      const answer = await this.#send(item, isBatch, signal, (share, trouble) => onProgress({ index, share, trouble }));
      if (!("error" in answer)) {
        this.batch = answer.batch ?? "";
        this.#accepted.push(answer);
      } else if (OF_ONE_PICTURE.includes(answer.error.status)) {
        outcome.refused.push({ item, error: answer.error });
      } else {
        return { ...outcome, unsent: items.slice(index), trouble: answer.error };
      }
    }
    this.batch = "";
    return outcome;
  }

  /** Delete what the last `send` brought, which was cancelled. */
  takeBack() {
    const token = new FormData();
    token.set("csrf_token", new FormData(this.form).get("csrf_token") ?? "");
    const added = this.#accepted.filter(({ became = "added" }) => became === "added");
    added.forEach(({ url }) => send(`${url}/delete`, token, new AbortController().signal));
  }

  /**
   * @param {Item} item
   * @param {boolean} isBatch
   * @param {AbortSignal} signal
   * @param {(share: number, trouble: Trouble | null) => void} onProgress
   */
  async #send(item, isBatch, signal, onProgress) {
    const data = new FormData(this.form);
    data.delete("picture");
    data.delete("url");
    data.set("key", this.#keyOf(item));
    if (isBatch) {
      data.set("batch", this.batch);
    }
    if (item instanceof File) {
      data.set("picture", item);
    } else {
      data.set("url", item.href);
    }
    for (let tries = 0; ; tries++) {
      onProgress(0, null);
      const answer = await send(this.form.action, data, signal, (share) => onProgress(share, null));
      if (!("error" in answer)) {
        this.#keys.delete(item);
        return answer;
      }
      if (!isPassing(answer.error) || tries === WAITS.length) {
        return answer;
      }
      onProgress(0, answer.error);
      await pause(WAITS[tries], signal);
    }
  }

  /** @param {Item} item */
  #keyOf(item) {
    const key = this.#keys.get(item) ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), String).join("-");
    this.#keys.set(item, key);
    return key;
  }
}

/** @param {Event} event */
function warn(event) {
  event.preventDefault();
}

/** Whether it may be over in a moment. @param {Trouble} trouble */
const isPassing = ({ status }) => status === 0 || status === 429 || status >= 500;

/** @param {number} milliseconds @param {AbortSignal} signal */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    });
  });
}

/**
 * Return what was said of several pictures, each thing once, with the names of those it was said of.
 *
 * @param {{name: string, error: {message: string, hint: string}}[]} refused
 */
export function grouped(refused) {
  /** @type {Map<string, {message: string, hint: string, names: string[]}>} */
  const groups = new Map();
  for (const { name, error } of refused) {
    const group = groups.get(error.message) ?? { ...error, names: [] };
    group.names.push(name);
    groups.set(error.message, group);
  }
  return [...groups.values()].map(({ message, hint, names }) => ({ message, hint, name: listed(names) }));
}

/** @param {string[]} names */
function listed(names) {
  const MOST = 3;
  return names.length > MOST + 1 ? `${names.slice(0, MOST).join(", ")} and ${names.length - MOST} others` : names.join(", ");
}
