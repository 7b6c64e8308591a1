/** What of a result is shown, and which instance is lit; kept in the page's URL, so that a link shows it. */

const SWITCHES = /** @type {const} */ (["boxes", "masks", "labels"]);

/** @typedef {typeof SWITCHES[number]} Switch */
/**
 * What draws a result knows of what is shown of it. Dispatches "change" (what is shown) and "light" (which instance is
 * lit or chosen).
 *
 * @typedef {object} Shows
 * @property {(index: number) => boolean} shows
 * @property {(index: number | null) => void} point
 * @property {(index: number | null) => void} choose
 * @property {number | null} lit
 * @property {number | null} chosen
 */
/** @typedef {EventTarget & Shows} Shown */

/** Dispatches "change" (what is shown) and "light" (which instance is lit or chosen). */
export class View extends EventTarget {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #writing;

  /** @param {import("./main.js").Result} result */
  constructor(result) {
    super();
    this.instances = result.instances;
    this.defaultScore = result.shown_score;
    this.score = result.shown_score;
    /** @type {Set<string>} labels that are switched off */
    this.off = new Set();
    /** @type {string[]} the labels that alone are shown, as a batch's page asks for them; empty for all */
    this.only = [];
    /** @type {Set<Switch>} what isn't drawn */
    this.hidden = new Set();
    /** @type {number | null} the instance that is pointed at */
    this.pointed = null;
    /** @type {number | null} the instance that stays lit until another one is chosen */
    this.chosen = null;
    this.#readUrl();
  }

  /** The instance that is lit now, or null. */
  get lit() {
    return this.pointed ?? this.chosen;
  }

  /** @param {number} index */
  shows(index) {
    const { label, score } = this.instances[index];
    return score >= this.score && !this.off.has(label);
  }

  /** How many instances have at least the minimum score, by label. */
  counts() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { label, score } of this.instances) {
      if (score >= this.score) {
        counts.set(label, (counts.get(label) ?? 0) + 1);
      }
    }
    return counts;
  }

  /** @param {number} score in 0..1 */
  setScore(score) {
    this.score = score;
    this.#changed();
  }

  /** @param {Iterable<string>} labels */
  setOff(labels) {
    this.off = new Set(labels);
    this.only = [];
    this.#changed();
  }

  /** @param {Switch} part @param {boolean} on */
  setSwitch(part, on) {
    if (on) {
      this.hidden.delete(part);
    } else {
      this.hidden.add(part);
    }
    this.#changed();
  }

  /** @param {number | null} index */
  point(index) {
    if (index !== this.pointed) {
      this.pointed = index;
      this.dispatchEvent(new Event("light"));
    }
  }

  /** @param {number | null} index choosing the chosen one lets it go */
  choose(index) {
    this.chosen = index === this.chosen ? null : index;
    this.dispatchEvent(new Event("light"));
  }

  #changed() {
    if (this.chosen !== null && !this.shows(this.chosen)) {
      this.chosen = null;
      this.dispatchEvent(new Event("light"));
    }
    this.#writeUrl();
    this.dispatchEvent(new Event("change"));
  }

  #readUrl() {
    const query = new URLSearchParams(location.search);
    const score = Number.parseFloat(query.get("score") ?? "");
    if (score >= 0 && score <= 1) {
      this.score = score;
    }
    this.only = query.getAll("only");
    const others = this.instances.map(({ label }) => label).filter((label) => !this.only.includes(label));
    this.off = new Set([...query.getAll("off"), ...(this.only.length ? others : [])]);
    this.hidden = new Set(SWITCHES.filter((part) => query.getAll("hide").includes(part)));
    this.asSaid = query.get("corrected") === "false";
  }

  /** Browsers let pages change their URL a hundred times in half a minute: wait until the hand rests. */
  #writeUrl() {
    clearTimeout(this.#writing);
    this.#writing = setTimeout(() => {
      history.replaceState(null, "", location.pathname + this.search);
    }, 150);
  }

  /** The query of this view; empty for the default one. */
  get search() {
    const query = new URLSearchParams();
    if (this.score !== this.defaultScore) {
      query.set("score", String(this.score));
    }
    if (this.only.length) {
      this.only.forEach((label) => query.append("only", label));
    } else {
      this.off.forEach((label) => query.append("off", label));
    }
    this.hidden.forEach((part) => query.append("hide", part));
    if (this.asSaid) {
      query.set("corrected", "false");
    }
    return query.size ? `?${query}` : "";
  }
}
