/** The states that a picture has been in: undo and redo without end, kept for this tab until it is closed. */

/** @typedef {import("./objects.js").State} State */
/** @typedef {import("./objects.js").Annotation} Annotation */

/** Dispatches "change". */
export class History extends EventTarget {
  /** @type {State[]} */
  #undo = [];
  /** @type {State[]} */
  #redo = [];
  /** @type {string | null} */
  #joining = null;

  /** @param {State} state */
  constructor(state) {
    super();
    this.state = state;
  }

  get canUndo() {
    return this.#undo.length > 0;
  }

  get canRedo() {
    return this.#redo.length > 0;
  }

  /** @param {State} state @param {string | null} [joining] steps of one name that follow each other are undone together */
  commit(state, joining = null) {
    if (joining === null || joining !== this.#joining) {
      this.#undo.push(this.state);
    }
    this.#joining = joining;
    this.#redo = [];
    this.#set(state);
  }

  undo() {
    this.#step(this.#undo, this.#redo);
  }

  redo() {
    this.#step(this.#redo, this.#undo);
  }

  /** @param {State[]} from @param {State[]} to */
  #step(from, to) {
    const state = from.pop();
    if (state) {
      to.push(this.state);
      this.#joining = null;
      this.#set(state);
    }
  }

  /** @param {State} state */
  #set(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }

  /** Return the last steps as text. States share most objects: each is written once. @param {number} most */
  toText(most) {
    /** @type {Map<Annotation, number>} */
    const numbers = new Map();
    /** @param {State} state */
    const numbered = ({ objects, ...rest }) => ({
      ...rest,
      objects: objects.map((object) => {
        numbers.set(object, numbers.get(object) ?? numbers.size);
        return numbers.get(object);
      }),
    });
    const [undo, redo] = [this.#undo, this.#redo].map((states) => states.slice(-most).map(numbered));
    return JSON.stringify({ undo, redo, objects: [...numbers.keys()] });
  }

  /** Take over the steps that were kept. @param {string} text */
  restore(text) {
    const { undo, redo, objects } = JSON.parse(text);
    /** @param {any[]} states @returns {State[]} */
    const read = (states) => states.map((state) => ({ ...state, objects: state.objects.map((/** @type {number} */ n) => objects[n]) }));
    this.#undo = read(undo);
    this.#redo = read(redo);
  }
}
