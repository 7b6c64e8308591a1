/** The list of objects and the classes with their digits, beside the picture. */

import { percent } from "../shared/format.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./objects.js").Annotation} Annotation */

/**
 * @param {HTMLElement} editor
 * @param {Session} session
 * @param {import("./colours.js").Colours} colours
 * @param {(object: Annotation) => void} onChosen
 */
export function connectPanel(editor, session, colours, onChosen) {
  const list = /** @type {HTMLElement} */ (editor.querySelector(".editor-objects"));
  const heading = /** @type {HTMLElement} */ (editor.querySelector(".editor-count"));
  const classes = /** @type {HTMLElement} */ (editor.querySelector(".editor-classes"));
  /** @type {Map<string, {item: HTMLElement, object: Annotation}>} */
  let rows = new Map();
  /** @type {HTMLElement | undefined} */
  let lit;
  let shownClasses = "";

  function showObjects() {
    const before = rows;
    rows = new Map();
    for (const object of session.objects) {
      const known = before.get(object.id);
      const item = known?.item ?? document.createElement("li");
      if (known?.object !== object) {
        fillRow(item, object, colours);
      }
      rows.set(object.id, { item, object });
    }
    const items = [...rows.values()].map(({ item }) => item);
    if (items.length !== list.children.length || items.some((item, i) => item !== list.children[i])) {
      list.replaceChildren(...items);
    }
    const verified = session.objects.filter(({ verified }) => verified).length;
    heading.textContent = `${session.objects.length}${verified ? `, ${verified} verified` : ""}`;
  }

  function showSelected() {
    const item = session.selectedId ? rows.get(session.selectedId)?.item : undefined;
    if (item !== lit) {
      lit?.setAttribute("aria-selected", "false");
      item?.setAttribute("aria-selected", "true");
      item?.scrollIntoView({ block: "nearest" });
      list.setAttribute("aria-activedescendant", item?.id ?? "");
      lit = item;
    }
  }

  function showClasses() {
    const used = session.selected?.label ?? session.label;
    const now = JSON.stringify([session.classes, used]);
    if (now !== shownClasses) {
      shownClasses = now;
      classes.replaceChildren(...session.classes.map((label, i) => classButton(label, i, label === used, colours)));
    }
  }

  list.addEventListener("click", (event) => {
    const item = event.target instanceof Element ? event.target.closest("li") : null;
    const found = [...rows.values()].find((row) => row.item === item);
    if (found) {
      session.select(found.object.id);
      onChosen(found.object);
    }
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      event.stopPropagation();
      session.selectNext(step);
    }
  });
  list.addEventListener("pointerover", (event) => {
    const item = event.target instanceof Element ? event.target.closest("li") : null;
    session.point([...rows.values()].find((row) => row.item === item)?.object.id ?? null);
  });
  list.addEventListener("pointerleave", () => session.point(null));
  classes.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button) {
      session.relabel(button.value);
    }
  });
  const show = () => {
    showClasses();
    showObjects();
    showSelected();
  };
  session.addEventListener("change", show);
  show();
}

/** @param {HTMLElement} item @param {Annotation} object @param {import("./colours.js").Colours} colours */
function fillRow(item, object, colours) {
  item.role = "option";
  item.id = `editor-object-${object.id}`;
  item.ariaSelected ??= "false";
  const swatch = document.createElement("span");
  swatch.className = "editor-swatch";
  swatch.style.background = colours.css(object.label);
  const name = document.createElement("bdi");
  name.className = "editor-object-label";
  name.textContent = object.label;
  const state = document.createElement("span");
  state.className = "editor-object-state";
  state.textContent = object.verified ? "✓" : object.source === "person" ? "edited" : percent(object.score ?? 0);
  if (object.verified) {
    state.role = "img";
    state.ariaLabel = "verified";
  }
  item.replaceChildren(swatch, name, state);
}

/** @param {string} label @param {number} i @param {boolean} isCurrent @param {import("./colours.js").Colours} colours */
function classButton(label, i, isCurrent, colours) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.value = label;
  button.ariaPressed = String(isCurrent);
  const swatch = document.createElement("span");
  swatch.className = "editor-swatch";
  swatch.style.background = colours.css(label);
  const name = document.createElement("bdi");
  name.textContent = label;
  button.append(swatch, name);
  if (i < 9) {
    const key = document.createElement("kbd");
    key.textContent = String(i + 1);
    button.append(key);
  }
  item.append(button);
  return item;
}
