/** Refreshes the parts of a page that are marked as changing. */

import { parsed, replacePart } from "./parts.js";

const SHORTEST_PAUSE_MILLISECONDS = 1000;
const PAUSES_PER_LOOK = 10; // one who looks takes a tenth of the server's time at most, however long a page takes

function parts() {
  return /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-changing]")]);
}

async function look() {
  const began = performance.now();
  if (!document.hidden) {
    try {
      const news = parsed(await (await fetch(location.href)).text());
      parts().forEach((part) => update(part, news));
    } catch {
      // The server is away for now: what the page says stays until it is back.
    }
  }
  lookLater(performance.now() - began);
}

/** @param {HTMLElement} part @param {Document} news */
function update(part, news) {
  const now = news.getElementById(part.id);
  if (now && now.textContent !== part.textContent && !part.contains(document.activeElement)) {
    replacePart(part.id, news);
  }
}

/** @param {number} took how many milliseconds the last look took */
function lookLater(took) {
  if (parts().length) {
    setTimeout(look, Math.max(SHORTEST_PAUSE_MILLISECONDS, PAUSES_PER_LOOK * took));
  }
}

lookLater(0);
