/** The colours of classes: those that the page gives, else the palette's in turn. */

/** @typedef {[number, number, number]} Rgb 0..255 */

export class Colours {
  /** @param {Record<string, Rgb>} given by label @param {string[]} palette as #rrggbb */
  constructor(given, palette) {
    /** @type {Map<string, Rgb>} */
    this.known = new Map(Object.entries(given));
    this.palette = palette.map((hex) => /** @type {Rgb} */ ([1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16))));
  }

  /** @param {string} label @returns {Rgb} */
  of(label) {
    const known = this.known.get(label);
    if (known) {
      return known;
    }
    const taken = new Set([...this.known.values()].map(String));
    const free = this.palette.find((rgb) => !taken.has(String(rgb)));
    const colour = free ?? this.palette[this.known.size % this.palette.length];
    this.known.set(label, colour);
    return colour;
  }

  /** @param {string} label @param {number} [alpha] */
  css(label, alpha = 1) {
    return `rgb(${this.of(label).join(" ")} / ${alpha})`;
  }

  /** Black or white, whichever can be read on a class's colour (WCAG 2.2, contrast ratio). @param {string} label */
  text(label) {
    const [r, g, b] = this.of(label).map((part) => {
      const level = part / 255;
      return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
  }
}
