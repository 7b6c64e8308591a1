/**
 * Pictures come by dropping them, folders or links anywhere on the page, and by pasting them or a URL.
 *
 * What is dropped on a field for files, or pasted into a field, stays that field's; while a dialog is open, as the
 * editor is, nothing is taken.
 */

import { picturesIn } from "./folders.js";

/** @typedef {File | URL} Item a picture, or where one is */

// While something is held over a page the browser says so three times a second; not every end of that has an event.
const SILENCE_MILLISECONDS = 1500;
const LINKS = "text/uri-list";
const TYPED = "input:not([type=file], [type=checkbox], [type=radio], [type=range]), textarea, [contenteditable]";

/**
 * Report what comes in.
 *
 * @param {HTMLElement} target is shown while something is held over the page
 * @param {(items: Item[]) => void} onItems called with none for folders without any picture
 * @param {() => void} [onHeld] called when something is brought over the page
 */
export function receivePictures(target, onItems, onHeld) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let away;
  let isOwn = false; // whether what is dragged is of this page: a link, a selected text

  document.addEventListener("dragstart", () => (isOwn = true));
  document.addEventListener("dragend", () => (isOwn = false));

  document.addEventListener("dragover", (event) => {
    const types = event.dataTransfer?.types ?? [];
    if (isOwn || isFileField(event) || !(types.includes("Files") || types.includes(LINKS))) {
      target.hidden = true;
      return;
    }
    event.preventDefault(); // or the browser would open the file in place of the page
    const isFree = !dialogIsOpen();
    /** @type {DataTransfer} */ (event.dataTransfer).dropEffect = isFree ? "copy" : "none";
    if (isFree && target.hidden) {
      target.hidden = false;
      onHeld?.();
    }
    clearTimeout(away);
    away = setTimeout(() => (target.hidden = true), SILENCE_MILLISECONDS);
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) {
      target.hidden = true;
    }
  });
  document.addEventListener("drop", async (event) => {
    target.hidden = true;
    if (isOwn || isFileField(event) || !event.dataTransfer) {
      return;
    }
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
    const files = [...event.dataTransfer.files];
    const url = urlIn(event.dataTransfer.getData(LINKS));
    if (entries.length || files.length || url) {
      event.preventDefault();
    }
    if (dialogIsOpen()) {
      return;
    }
    if (entries.some((entry) => entry.isDirectory)) {
      onItems(await picturesIn(entries));
    } else if (files.length || url) {
      onItems(files.length ? files : [/** @type {URL} */ (url)]);
    }
  });

  document.addEventListener("paste", (event) => {
    const isTyping = event.target instanceof Element && event.target.closest(TYPED);
    const data = event.clipboardData;
    if (isTyping || dialogIsOpen() || !data) {
      return;
    }
    const url = urlIn(data.getData("text/plain"));
    if (data.files.length || url) {
      event.preventDefault();
      onItems(data.files.length ? [...data.files] : [/** @type {URL} */ (url)]);
    }
  });
}

const dialogIsOpen = () => document.querySelector("dialog[open]") !== null;

/** @param {DragEvent} event */
function isFileField({ target }) {
  return target instanceof Element && target.closest("input[type=file]:not(.takes-all)") !== null;
}

/** Return the URL that a text is, or the first of a list; null where it is none that can be fetched. @param {string} text */
export function urlIn(text) {
  const line = text.trim().split(/\r?\n/).find((one) => !one.startsWith("#")) ?? "";
  return /^https?:\/\/\S+$/i.test(line) && URL.canParse(line) ? new URL(line) : null;
}

/** Return what a picture is called. @param {Item} item */
export function nameOf(item) {
  return item instanceof File ? item.name : `${item.hostname}${item.pathname}`;
}
