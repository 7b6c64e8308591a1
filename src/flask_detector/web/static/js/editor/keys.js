/** The editor's keys, in one table that the help shows, too. */

/**
 * @typedef {object} Key
 * @property {string} name as the help shows it
 * @property {string[]} keys as `keyOf` names them
 * @property {string} does
 * @property {boolean} [isReading] whether it changes nothing, so that it works where nothing may be changed
 */

/** @typedef {keyof typeof KEYS} Action */

/** @satisfies {Record<string, Record<string, Key>>} */
export const GROUPS = {
  Draw: {
    box: { name: "W or N", keys: ["w", "n"], does: "Draw a box; Enter puts one in the middle" },
    polygon: { name: "P", keys: ["p"], does: "Draw an outline; Enter closes it, Backspace takes a corner back" },
    brush: { name: "B", keys: ["b"], does: "Brush: paint pixels to the object, or a new one" },
    eraser: { name: "X", keys: ["x"], does: "Eraser: take pixels away from the object" },
    mask: { name: "M", keys: ["m"], does: "Turn the box into a mask, by the model" },
    thinner: { name: "[", keys: ["["], does: "Smaller brush" },
    thicker: { name: "]", keys: ["]"], does: "Larger brush" },
    duplicate: { name: "Ctrl+D", keys: ["ctrl+d"], does: "Duplicate the object" },
  },
  Select: {
    next: { name: "Tab", keys: ["tab"], does: "Next object", isReading: true },
    previous: { name: "Shift+Tab", keys: ["shift+tab"], does: "Previous object", isReading: true },
    escape: { name: "Esc", keys: ["escape"], does: "Cancel, deselect, leave the picture", isReading: true },
    alone: { name: "H", keys: ["h"], does: "Hide the others", isReading: true },
    nextCorner: { name: ".", keys: ["."], does: "Next corner of the outline" },
    previousCorner: { name: ",", keys: [","], does: "Previous corner of the outline" },
  },
  Change: {
    move: { name: "Arrow keys", keys: ["arrow"], does: "Move by a pixel; with Ctrl by ten" },
    resize: { name: "Shift+arrow keys", keys: ["shift+arrow"], does: "Resize by a pixel; with Ctrl by ten" },
    digit: { name: "1 to 9", keys: [..."123456789"], does: "Class of the object and of those to come" },
    enter: { name: "Enter", keys: ["enter"], does: "Type the class; finish what is being drawn" },
    insert: { name: "I", keys: ["i", "insert"], does: "New corner after the selected one" },
    remove: { name: "Del", keys: ["delete", "backspace"], does: "Delete the object, or the selected corner" },
    verify: { name: "Space", keys: [" "], does: "Verified: the object, or all if none is selected" },
    undo: { name: "Ctrl+Z", keys: ["ctrl+z"], does: "Undo" },
    redo: { name: "Ctrl+Shift+Z", keys: ["ctrl+shift+z", "ctrl+y"], does: "Redo" },
  },
  "Look and leave": {
    back: { name: "A", keys: ["a"], does: "Previous picture", isReading: true },
    forward: { name: "D", keys: ["d"], does: "Next picture", isReading: true },
    closer: { name: "+", keys: ["+", "="], does: "Zoom in; so does the wheel", isReading: true },
    farther: { name: "−", keys: ["-"], does: "Zoom out", isReading: true },
    fit: { name: "0", keys: ["0"], does: "Show the whole picture", isReading: true },
    help: { name: "?", keys: ["?"], does: "Show the keys", isReading: true },
    done: { name: "E", keys: ["e"], does: "Done: back to the page", isReading: true },
  },
};

/** @type {Record<string, Key>} */
export const KEYS = Object.assign({}, ...Object.values(GROUPS));

/** Return the name of what was pressed, such as "ctrl+shift+z" or "arrow". @param {KeyboardEvent} event */
export function keyOf(event) {
  // On a keyboard of other letters the key that lies there.
  const isOther = event.key.length === 1 && event.key > "\u007f" && event.code.startsWith("Key");
  const key = (isOther ? event.code.slice(3) : event.key).toLowerCase();
  const isSign = key.length === 1 && !/[a-z0-9 ]/.test(key);
  const command = event.ctrlKey || event.metaKey;
  if (key.startsWith("arrow")) {
    return event.shiftKey ? "shift+arrow" : "arrow";
  }
  return `${command ? "ctrl+" : ""}${event.shiftKey && !isSign ? "shift+" : ""}${key}`;
}

/**
 * Do what keys say, unless text is typed or a button is to be pressed.
 *
 * @param {HTMLElement} editor
 * @param {HTMLElement} frame
 * @param {boolean} isReadonly
 * @param {(action: string, event: KeyboardEvent) => boolean} act false where the key keeps its usual meaning
 */
export function connectKeys(editor, frame, isReadonly, act) {
  const actions = new Map(Object.entries(KEYS).flatMap(([action, { keys }]) => keys.map((key) => [key, action])));
  editor.addEventListener("keydown", (event) => {
    const { target } = event;
    const isText = target instanceof HTMLInputElement;
    const isPressed = target instanceof Element && target.closest("button, a, summary");
    const key = keyOf(event);
    const action = actions.get(key);
    const keepsMeaning = (isPressed && ["enter", " "].includes(key)) || (target !== frame && /tab/.test(key));
    const isOfDialog = target instanceof Element && target.closest("dialog") !== editor; // as Escape, which closes it
    if (!action || isText || isOfDialog || event.altKey || event.defaultPrevented || keepsMeaning) {
      return;
    }
    if (isReadonly && !KEYS[action].isReading) {
      return;
    }
    if (act(action, event)) {
      event.preventDefault();
    }
  });
}
