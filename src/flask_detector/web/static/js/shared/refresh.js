/** Refreshes the parts of a page that are marked as changing. */

import { parsed, replacePart } from "./parts.js";

const LOOK_AGAIN_MILLISECONDS = 2000;

function parts() {
  return /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-changing]")]);
}

async function look() {
  if (!document.hidden) {
    try {
      const news = parsed(await (await fetch(location.href)).text());
      parts().forEach((part) => update(part, news));
    } catch {
      // The server is away for now: what the page says stays until it is back.
    }
  }
  lookLater();
}

/** @param {HTMLElement} part @param {Document} news */
function update(part, news) {
  const now = news.getElementById(part.id);
  if (now && now.textContent !== part.textContent && !part.contains(document.activeElement)) {
    replacePart(part.id, news);
  }
}

function lookLater() {
  if (parts().length) {
    setTimeout(look, LOOK_AGAIN_MILLISECONDS);
  }
}

lookLater();
