/** Refreshes the parts of a page that are marked as changing. */

const LOOK_AGAIN_MILLISECONDS = 2000;

function parts() {
  return /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-changing]")]);
}

async function look() {
  if (!document.hidden) {
    try {
      const page = await (await fetch(location.href)).text();
      const news = new DOMParser().parseFromString(page, "text/html");
      parts().forEach((part) => update(part, news.getElementById(part.id)));
    } catch {
      // The server is away for now: what the page says stays until it is back.
    }
  }
  lookLater();
}

/** @param {HTMLElement} part @param {HTMLElement | null} now */
function update(part, now) {
  if (now && now.textContent !== part.textContent && !part.contains(document.activeElement)) {
    part.replaceWith(now);
  }
}

function lookLater() {
  if (parts().length) {
    setTimeout(look, LOOK_AGAIN_MILLISECONDS);
  }
}

lookLater();
