/** Which part of the picture the frame shows. */

const LARGEST_PIXEL = 16; // CSS pixels that one pixel of the picture may take
const STEP = 1.5;
const THINNEST = 3; // CSS pixels across a picture that one can still see

/**
 * Lengths of the picture are in its pixels, lengths of the frame in CSS pixels. At zoom 1 the whole picture is
 * in the frame, in its middle. Dispatches "change".
 */
export class Camera extends EventTarget {
  /** @param {number} width @param {number} height of the picture */
  constructor(width, height) {
    super();
    this.picture = { width, height };
    this.frame = { width: 0, height: 0 };
    this.centre = { x: width / 2, y: height / 2 };
    this.zoom = 1;
  }

  /** CSS pixels for each pixel of the picture, when all of it is in the frame. */
  get #fit() {
    return Math.min(this.frame.width / this.picture.width, this.frame.height / this.picture.height);
  }

  /** CSS pixels for each pixel of the picture. */
  get pixelSize() {
    return this.#fit * this.zoom;
  }

  /** The part of the picture's plane that the frame covers: may begin before the picture and end after it. */
  get visible() {
    const width = this.frame.width / this.pixelSize;
    const height = this.frame.height / this.pixelSize;
    return { x: this.centre.x - width / 2, y: this.centre.y - height / 2, width, height };
  }

  /** How an image of the picture's size in the frame's corner must be moved, then scaled from its corner. */
  imageTransform() {
    const { visible, pixelSize } = this;
    return { x: (0 - visible.x) * pixelSize, y: (0 - visible.y) * pixelSize, scale: pixelSize };
  }

  /** @param {number} width @param {number} height of the frame */
  resize(width, height) {
    this.frame = { width, height };
    this.#set(this.centre.x, this.centre.y, this.zoom);
  }

  fit() {
    this.#set(this.picture.width / 2, this.picture.height / 2, 1);
  }

  /** Begin where there is something to see: of a strip as thin as a hair only its beginning, but enlarged. */
  begin() {
    const { width, height } = this.picture;
    if (Math.min(width, height) * this.#fit < THINNEST) {
      this.#set(0, 0, LARGEST_PIXEL / this.#fit);
    }
  }

  /** Give each pixel of the picture one CSS pixel, or more where the frame has room for more. */
  showPixels() {
    this.#set(this.centre.x, this.centre.y, 1 / this.#fit);
  }

  /** @param {number} steps positive to come nearer @param {{x: number, y: number}} [at] stays where it is, in the frame */
  zoomBy(steps, at = { x: this.frame.width / 2, y: this.frame.height / 2 }) {
    this.scaleBy(STEP ** steps, at);
  }

  /** @param {number} factor @param {{x: number, y: number}} at stays where it is, in the frame */
  scaleBy(factor, at) {
    const dx = at.x - this.frame.width / 2;
    const dy = at.y - this.frame.height / 2;
    const before = this.pixelSize;
    const zoom = this.#allowed(this.zoom * factor);
    const after = this.#fit * zoom;
    this.#set(this.centre.x + dx / before - dx / after, this.centre.y + dy / before - dy / after, zoom);
  }

  /** @param {number} dx @param {number} dy CSS pixels by which the picture follows the hand */
  moveBy(dx, dy) {
    this.#set(this.centre.x - dx / this.pixelSize, this.centre.y - dy / this.pixelSize, this.zoom);
  }

  /** Bring a box into sight if it is out of it. @param {[number, number, number, number]} box xyxy */
  reveal([x1, y1, x2, y2]) {
    const { x, y, width, height } = this.visible;
    if (x1 < x || y1 < y || x2 > x + width || y2 > y + height) {
      this.#set((x1 + x2) / 2, (y1 + y2) / 2, this.zoom);
    }
  }

  /** @param {number} zoom */
  #allowed(zoom) {
    return Math.min(Math.max(zoom, 1), Math.max(1, LARGEST_PIXEL / this.#fit));
  }

  /** @param {number} x @param {number} y @param {number} zoom */
  #set(x, y, zoom) {
    if (!this.frame.width || !this.frame.height) {
      return;
    }
    this.zoom = this.#allowed(zoom);
    const { width, height } = this.visible;
    this.centre = {
      x: within(x, width / 2, this.picture.width - width / 2),
      y: within(y, height / 2, this.picture.height - height / 2),
    };
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * Return the value within its limits; their middle where the limits cross.
 *
 * @param {number} value @param {number} low @param {number} high
 */
function within(value, low, high) {
  return low > high ? (low + high) / 2 : Math.min(Math.max(value, low), high);
}
