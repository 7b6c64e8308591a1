/** Parts of a page that are replaced by those of a newer one: the rest of it, its place and the focus stay. */

/** @param {string} html */
export function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/** Replace a part; what only this page knows stays: ticks in it, what is open, and how far lists are scrolled. @param {string} id @param {Document} page */
export function replacePart(id, page) {
  const part = document.getElementById(id);
  const now = page.getElementById(id);
  if (!part || !now) {
    return;
  }
  const scrolled = [part, ...part.querySelectorAll("[id]")].map(({ id, scrollTop }) => ({ id, scrollTop }));
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  /** @type {NodeListOf<HTMLInputElement>} */ (part.querySelectorAll("[form]:checked")).forEach((box) => {
    const same = /** @type {HTMLInputElement | null} */ (counterpart(box, now));
    if (same) {
      same.checked = true;
    }
  });
  const opened = now.querySelectorAll("details");
  part.querySelectorAll("details").forEach((one, i) => opened[i]?.toggleAttribute("open", one.open));
  part.replaceWith(now);
  scrolled.forEach(({ id, scrollTop }) => document.getElementById(id)?.scrollTo(0, scrollTop));
  if (focused) {
    counterpart(focused, now)?.focus({ preventScroll: true });
  }
}

/** @param {Element} field @param {HTMLElement} part @returns {HTMLElement | null} */
function counterpart(field, part) {
  if (field.id) {
    return part.querySelector(`#${CSS.escape(field.id)}`);
  }
  if (field instanceof HTMLInputElement) {
    return part.querySelector(`[name="${CSS.escape(field.name)}"][value="${CSS.escape(field.value)}"]`);
  }
  return null;
}
