/** What is being edited: the picture's objects, which one is selected, with which tool and class. */

import { History } from "./history.js";
import { drawn } from "./objects.js";

/** @typedef {import("./objects.js").Annotation} Annotation */
/** @typedef {import("./objects.js").State} State */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./geometry.js").CornerAt} CornerAt */
/** @typedef {"select" | "box" | "polygon" | "brush" | "eraser"} ToolName */

const UNNAMED = "object"; // the class of what is drawn before there is any: one must be

/**
 * Dispatches "change" (anything that is drawn or listed), "preview" (the selected object alone), and "unnamed" when an
 * object is added while there is no class.
 */
export class Session extends EventTarget {
  /** @type {string | null} the id of an object */
  selectedId = null;
  /** @type {string | null} the id of the object under the pointer */
  pointedId = null;
  /** @type {CornerAt | null} the corner that keys move */
  corner = null;
  /** @type {ToolName} */
  tool = "select";
  isAlone = false; // whether the objects that aren't selected are hidden
  brushSize = 20; // CSS pixels across
  /** @type {Annotation | null} the selected object, or a new one, as the hand holds it */
  preview = null;

  /** @param {State} state @param {Size} size of the picture @param {string[]} classes @param {boolean} isReadonly */
  constructor(state, size, classes, isReadonly) {
    super();
    this.size = size;
    this.classes = classes;
    this.label = classes[0] ?? UNNAMED;
    this.isReadonly = isReadonly;
    this.history = new History(state);
    this.history.addEventListener("change", () => this.#settle());
  }

  get objects() {
    return this.history.state.objects;
  }

  get selected() {
    return this.objects.find(({ id }) => id === this.selectedId) ?? null;
  }

  /** @param {string | null} id */
  select(id) {
    if (id !== this.selectedId || this.corner) {
      this.selectedId = id;
      this.corner = null;
      this.preview = null;
      this.#changed();
    }
  }

  /** @param {number} step */
  selectNext(step) {
    const index = this.objects.findIndex(({ id }) => id === this.selectedId);
    const next = index < 0 ? (step > 0 ? 0 : this.objects.length - 1) : index + step;
    const object = this.objects[next];
    if (object) {
      this.select(object.id);
    }
    return Boolean(object);
  }

  /** @param {CornerAt | null} corner */
  selectCorner(corner) {
    this.corner = corner;
    this.#changed();
  }

  /** @param {ToolName} tool */
  use(tool) {
    if (!this.isReadonly || tool === "select") {
      this.tool = tool;
      this.preview = null;
      this.#changed();
    }
  }

  /** Show an object as the hand holds it. @param {Annotation | null} object */
  hold(object) {
    this.preview = object;
    this.dispatchEvent(new Event("preview"));
  }

  /** @param {string | null} id */
  point(id) {
    if (id !== this.pointedId) {
      this.pointedId = id;
      this.dispatchEvent(new Event("preview"));
    }
  }

  /** Put an object in the place of the one with its id. @param {Annotation} object @param {string | null} [joining] */
  replace(object, joining = null) {
    this.commit({ objects: this.objects.map((one) => (one.id === object.id ? object : one)) }, joining);
  }

  /** Add an object of the current class and select it. @param {Pick<Annotation, "box"> & Partial<Annotation>} shape */
  add(shape) {
    const object = drawn(shape.label ?? this.label, shape);
    this.selectedId = object.id;
    this.corner = null;
    this.commit({ objects: [...this.objects, object], labels: this.#with(object.label) });
    if (!this.classes.length) {
      this.dispatchEvent(new Event("unnamed"));
    }
  }

  /** Remove the selected object and select the one after it. */
  remove() {
    const index = this.objects.findIndex(({ id }) => id === this.selectedId);
    if (index >= 0) {
      const objects = this.objects.toSpliced(index, 1);
      this.selectedId = (objects[index] ?? objects.at(-1))?.id ?? null;
      this.corner = null;
      this.commit({ objects });
    }
  }

  /** Take a class for the selected object and those to come. @param {string} label */
  relabel(label) {
    this.label = label;
    if (!this.classes.includes(label)) {
      this.classes = [...this.classes, label];
    }
    const object = this.selected;
    if (object && object.label !== label && !this.isReadonly) {
      const objects = this.objects.map((one) =>
        one === object ? { ...one, label, source: /** @type {const} */ ("person") } : one,
      );
      this.commit({ objects, labels: this.#with(label) });
    } else {
      this.#changed();
    }
  }

  /** Agree with the selected object, or with the whole picture; or take that back. */
  verify() {
    const object = this.selected;
    if (object) {
      this.replace({ ...object, verified: !object.verified });
    } else {
      this.commit({ verified: !this.history.state.verified });
    }
  }

  showAlone() {
    this.isAlone = !this.isAlone;
    this.#changed();
  }

  /** @param {Partial<State>} change @param {string | null} [joining] */
  commit(change, joining = null) {
    if (!this.isReadonly) {
      this.history.commit({ ...this.history.state, ...change }, joining);
    }
  }

  /** @param {string} label */
  #with(label) {
    const { labels } = this.history.state;
    return labels.includes(label) ? labels : [...labels, label];
  }

  #settle() {
    this.preview = null;
    if (!this.selected) {
      this.selectedId = this.corner = null;
    }
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
