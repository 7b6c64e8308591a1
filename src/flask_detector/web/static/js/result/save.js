/** Lays the drawn picture over all else while the browser's own menu is open, so that it is what "Save image" saves. */

/** @param {HTMLElement} frame */
export function offerDrawn(frame) {
  /** @param {boolean} on */
  const offer = (on) => frame.classList.toggle("saving", on);
  frame.addEventListener("pointerdown", (event) => offer(event.button === 2 || event.ctrlKey));
  frame.addEventListener("contextmenu", () => offer(true)); // a long touch, or a key
  frame.addEventListener("pointermove", (event) => {
    if (!event.buttons) {
      offer(false);
    }
  });
}
