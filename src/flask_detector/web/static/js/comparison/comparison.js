/** What is shown of two results, and which object of them is lit; score and classes are kept in the page's URL. */

import { match } from "./match.js";

/** @typedef {import("./match.js").Entry} Entry */
/** @typedef {import("./match.js").Pair} Pair */
/** @typedef {import("../result/main.js").Instance} Instance */

/** Dispatches "change" (what is shown) and "light" (which object is lit or chosen), and lets both sides do so. */
export class Comparison extends EventTarget {
  /** @type {Entry[]} what is shown */
  entries = [];
  /** @type {Entry | null} what is pointed at */
  pointed = null;
  /** @type {Entry | null} what stays lit until something else is chosen */
  chosen = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #writing;

  /**
   * @param {[Instance[], Instance[]]} instances of the left result and of the right one
   * @param {Pair[]} pairs
   * @param {number} score the lowest that is shown, in 0..1
   */
  constructor(instances, pairs, score) {
    super();
    this.instances = instances;
    this.pairs = pairs;
    this.score = score;
    this.query = new URLSearchParams(location.search);
    /** @type {Set<string>} the labels that alone are shown; empty for all */
    this.only = new Set(this.query.getAll("only"));
    this.off = new Set(this.query.getAll("off"));
    this.sides = [new Side(this, "left", instances[0]), new Side(this, "right", instances[1])];
    this.#match();
  }

  get lit() {
    return this.pointed ?? this.chosen;
  }

  /** What differs, the highest score first. */
  get differences() {
    return this.entries.filter(({ kind }) => kind !== "same").sort((a, b) => this.scoreOf(b) - this.scoreOf(a));
  }

  /** Return the higher score of an entry's objects. @param {Entry} entry */
  scoreOf({ left, right }) {
    const [first, second] = this.instances;
    return Math.max(left === null ? 0 : first[left].score, right === null ? 0 : second[right].score);
  }

  /** @param {number} score in 0..1 */
  setScore(score) {
    this.score = score;
    this.query.set("score", String(score));
    this.#changed();
  }

  /** @param {string[]} labels that alone are shown; none for all */
  setOnly(labels) {
    this.only = new Set(labels);
    this.off.clear();
    ["only", "off"].forEach((name) => this.query.delete(name));
    labels.forEach((label) => this.query.append("only", label));
    this.#changed();
  }

  #changed() {
    this.#match();
    this.pointed = this.chosen = null;
    clearTimeout(this.#writing); // browsers let pages change their URL a hundred times in half a minute
    this.#writing = setTimeout(() => history.replaceState(null, "", location.pathname + this.search), 150);
    this.#dispatch("change");
    this.#dispatch("light");
  }

  /** @param {Entry | null} entry */
  point(entry) {
    if (entry !== this.pointed) {
      this.pointed = entry;
      this.#dispatch("light");
    }
  }

  /** @param {Entry | null} entry choosing the chosen one lets it go */
  choose(entry) {
    this.chosen = entry === this.chosen ? null : entry;
    this.#dispatch("light");
  }

  get search() {
    return this.query.size ? `?${this.query}` : "";
  }

  #match() {
    const shown = this.instances.map((all) => all.map(({ score }) => score >= this.score));
    // A class that is shown brings what the other result calls otherwise with it.
    this.entries = match(this.pairs, shown[0], shown[1]).filter((entry) => this.labelsOf(entry).some((label) => this.#shows(label)));
    this.sides.forEach((side) => side.index(this.entries));
  }

  /** @param {Entry} entry */
  labelsOf({ left, right }) {
    return [left, right].flatMap((index, side) => (index === null ? [] : [this.instances[side][index].label]));
  }

  /** @param {string} label */
  #shows(label) {
    return !this.off.has(label) && (!this.only.size || this.only.has(label));
  }

  /** @param {"change" | "light"} what */
  #dispatch(what) {
    [this, ...this.sides].forEach((one) => one.dispatchEvent(new Event(what)));
  }
}

/** One of both results, for what draws it: what of it is shown and lit. */
export class Side extends EventTarget {
  /** @type {Map<number | null, Entry>} what is shown, by its number in this result */
  #entries = new Map();

  /** @param {Comparison} comparison @param {"left" | "right"} name @param {Instance[]} instances */
  constructor(comparison, name, instances) {
    super();
    this.comparison = comparison;
    this.name = name;
    this.instances = instances;
  }

  /** @param {Entry[]} entries */
  index(entries) {
    this.#entries = new Map(entries.flatMap((entry) => (entry[this.name] === null ? [] : [[entry[this.name], entry]])));
  }

  /** How many objects are shown. */
  get number() {
    return this.#entries.size;
  }

  /** Return what the comparison says of an object; undefined for one that isn't shown. @param {number} index */
  entry(index) {
    return this.#entries.get(index);
  }

  /** @param {number} index */
  shows(index) {
    return this.#entries.has(index);
  }

  /** @param {number | null} index */
  point(index) {
    this.comparison.point(index === null ? null : (this.entry(index) ?? null));
  }

  /** @param {number | null} index */
  choose(index) {
    this.comparison.choose(index === null ? null : (this.entry(index) ?? null));
  }

  get lit() {
    return this.comparison.lit?.[this.name] ?? null;
  }

  get chosen() {
    return this.comparison.chosen?.[this.name] ?? null;
  }
}
