/** Asks the model that made the result for the mask of a box. */

import { messageOf } from "./document.js";
import { changed } from "./objects.js";
import { extentOf } from "./regions.js";
import { Mask } from "../result/masks.js";

/**
 * @param {HTMLElement} editor @param {import("./session.js").Session} session
 * @returns {() => Promise<void>}
 */
export function maskMaker(editor, session) {
  const { mask: url = "", token = "" } = editor.dataset;
  const note = /** @type {HTMLElement} */ (editor.querySelector(".editor-note"));
  /** @param {string} text */
  const say = (text) => {
    note.textContent = text;
    note.hidden = !text;
  };

  return async () => {
    const object = session.selected;
    if (!object || !url) {
      return;
    }
    say("The model looks at the box…");
    const headers = { "Content-Type": "application/json", "X-CSRFToken": token, Accept: "application/json" };
    const body = JSON.stringify({ box: object.box, label: object.label });
    try {
      const response = await fetch(url, { method: "POST", headers, body });
      if (!response.ok) {
        say(await messageOf(response));
        return;
      }
      const { mask } = await response.json();
      say(mask ? "" : "The model sees nothing in this box.");
      // Not where the object has been changed, or is gone, meanwhile.
      if (mask && session.objects.includes(object)) {
        session.replace(changed(object, { mask, polygons: undefined, box: extentOf(new Mask(mask).columns) }));
      }
    } catch {
      say("The server can’t be reached.");
    }
  };
}
