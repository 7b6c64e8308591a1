/** The field for a class: typing completes, a new name makes a new class. */

import { within } from "./geometry.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("../result/camera.js").Camera} Camera */

const MOST_SHOWN = 50;
const GAP = 12; // CSS pixels between the field and its object, or the frame

/**
 * @param {HTMLElement} editor
 * @param {Session} session
 * @param {Camera} camera
 * @param {import("./colours.js").Colours} colours
 * @param {string[]} suggestions
 * @param {() => void} onClosed
 */
export function connectLabels(editor, session, camera, colours, suggestions, onClosed) {
  const popup = /** @type {HTMLElement} */ (editor.querySelector(".editor-labels"));
  const input = /** @type {HTMLInputElement} */ (popup.querySelector("input"));
  const list = /** @type {HTMLElement} */ (popup.querySelector("ul"));
  /** @type {{label: string, isNew: boolean}[]} */
  let options = [];
  let current = 0;

  function fill() {
    const text = input.value.trim();
    const known = [...new Set([...session.classes, ...session.history.state.labels, ...suggestions])];
    const found = matching(known, text).slice(0, MOST_SHOWN);
    options = found.map((label) => ({ label, isNew: false }));
    if (text && !known.includes(text)) {
      options.push({ label: text, isNew: true });
    }
    list.replaceChildren(...options.map(({ label, isNew }, i) => option(label, isNew, i)));
    light(0);
  }

  /** @param {string} label @param {boolean} isNew @param {number} i */
  function option(label, isNew, i) {
    const item = document.createElement("li");
    item.role = "option";
    item.id = `editor-label-${i}`;
    const swatch = document.createElement("span");
    swatch.className = "editor-swatch";
    swatch.style.background = isNew ? "none" : colours.css(label);
    const name = document.createElement("bdi");
    name.textContent = label;
    item.append(swatch, ...(isNew ? ["New class ", name] : [name]));
    const digit = session.classes.indexOf(label) + 1;
    if (!isNew && digit > 0 && digit < 10) {
      const key = document.createElement("kbd");
      key.textContent = String(digit);
      item.append(key);
    }
    return item;
  }

  /** @param {number} index */
  function light(index) {
    current = Math.min(Math.max(index, 0), options.length - 1);
    [...list.children].forEach((item, i) => (item.ariaSelected = String(i === current)));
    list.children[current]?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options.length ? `editor-label-${current}` : "");
  }

  function close() {
    popup.hidden = true;
    onClosed();
  }

  /** @param {number} index */
  function choose(index) {
    const chosen = options[index];
    if (chosen) {
      session.relabel(chosen.label.normalize("NFC"));
    }
    close();
  }

  input.addEventListener("input", fill);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    event.stopPropagation();
    if (step) {
      event.preventDefault();
      light(current + step);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      choose(current);
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      close();
    }
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => {
    const item = event.target instanceof Element ? event.target.closest("li") : null;
    if (item) {
      choose([...list.children].indexOf(item));
    }
  });
  input.addEventListener("blur", () => {
    if (!popup.hidden) {
      close();
    }
  });

  return function open() {
    popup.hidden = false;
    input.value = "";
    input.placeholder = session.selected?.label ?? session.label;
    fill();
    light(options.findIndex(({ label }) => label === input.placeholder));
    place(popup, session.selected, camera);
    input.focus();
  };
}

/** Put the field beside an object, in the frame; without an object at its upper end. @param {HTMLElement} popup @param {import("./objects.js").Annotation | null} object @param {Camera} camera */
function place(popup, object, { visible, pixelSize, frame }) {
  const [x1, y1, x2] = object?.box ?? [visible.x, visible.y, visible.x];
  const { offsetWidth: width, offsetHeight: height } = popup;
  const right = (x2 - visible.x) * pixelSize + GAP;
  const left = (x1 - visible.x) * pixelSize - GAP - width;
  const x = right + width > frame.width && left > 0 ? left : right;
  popup.style.left = `${within(x, GAP, Math.max(frame.width - width - GAP, GAP))}px`;
  popup.style.top = `${within((y1 - visible.y) * pixelSize, GAP, Math.max(frame.height - height - GAP, GAP))}px`;
}

/** Return the labels that a text may mean: those that begin with it, then those with a word that does, then the others. @param {string[]} labels @param {string} text */
export function matching(labels, text) {
  const wanted = folded(text);
  const rank = (/** @type {string} */ label) => {
    const name = folded(label);
    return name.startsWith(wanted) ? 0 : name.includes(` ${wanted}`) ? 1 : name.includes(wanted) ? 2 : 3;
  };
  const ranks = new Map(labels.map((label) => [label, rank(label)]));
  const of = (/** @type {string} */ label) => /** @type {number} */ (ranks.get(label));
  return labels.filter((label) => of(label) < 3).sort((a, b) => of(a) - of(b));
}

/** Without case and accents. @param {string} text */
const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
