/** A comparison slider: the original picture to its left, the detected objects to its right. */

const STEP = 2; // percent of the width
const LARGE_STEP = 10;

/** @type {Record<string, (place: number) => number>} */
const KEYS = {
  ArrowLeft: (place) => place - STEP,
  ArrowDown: (place) => place - STEP,
  ArrowRight: (place) => place + STEP,
  ArrowUp: (place) => place + STEP,
  PageDown: (place) => place - LARGE_STEP,
  PageUp: (place) => place + LARGE_STEP,
  Home: () => 0,
  End: () => 100,
};

/** @param {HTMLElement} frame @param {HTMLElement} overlay what is drawn @param {HTMLButtonElement} button */
export function connectComparison(frame, overlay, button) {
  const divider = /** @type {HTMLElement} */ (frame.querySelector(".result-divider"));
  let place = 50;

  /** @param {number} to percent of the width */
  function move(to) {
    place = Math.min(Math.max(to, 0), 100);
    divider.style.left = `${place}%`;
    divider.ariaValueNow = String(Math.round(place));
    divider.ariaValueText = `${Math.round(place)}% of the width`;
    overlay.style.clipPath = divider.hidden ? "" : `inset(0 0 0 ${place}%)`;
  }

  /** @param {boolean} on */
  function show(on) {
    divider.hidden = !on;
    button.ariaPressed = String(on);
    move(place);
  }

  button.addEventListener("click", () => {
    show(divider.hidden);
    if (!divider.hidden) {
      divider.focus({ preventScroll: true });
    }
  });
  divider.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      move(act(place));
    } else if (event.key === "Escape") {
      event.stopPropagation();
      show(false);
      button.focus();
    }
  });
  divider.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // or the picture would be moved with it
    divider.setPointerCapture(event.pointerId);
  });
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) {
      event.stopPropagation();
      const { left, width } = frame.getBoundingClientRect();
      move(((event.clientX - left) / width) * 100);
    }
  });
  show(false);
}
