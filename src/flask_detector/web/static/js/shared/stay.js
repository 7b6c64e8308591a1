/** Deletes and undoes that without leaving the page: its parts are replaced by those of the page it leads to. */

import { parsed, replacePart } from "./parts.js";

const PARTS = ["undo", "head", "selection", "download", "keep", "filters", "class-work", "records", "pages"];

document.addEventListener("submit", (event) => {
  const { submitter, target } = event;
  if (submitter instanceof HTMLButtonElement && "stays" in submitter.dataset && target instanceof HTMLFormElement) {
    event.preventDefault();
    send(submitter, target);
  }
});

/** @param {HTMLButtonElement} button @param {HTMLFormElement} form */
async function send(button, form) {
  try {
    const fields = /** @type {[string, string][]} */ ([...new FormData(form, button)]);
    const address = button.hasAttribute("formaction") ? button.formAction : form.action;
    const answer = await fetch(address, {
      method: "POST",
      headers: { Accept: "text/html" },
      body: new URLSearchParams(fields),
    });
    if (answer.ok) {
      show(parsed(await answer.text()), answer.url);
      return;
    }
  } catch {
    // The server is away: the browser says so when it sends the form itself.
  }
  delete button.dataset.stays;
  form.requestSubmit(button);
}

/** Show what is new of a page, or all of it where it has other parts. @param {Document} page @param {string} url */
function show(page, url) {
  if (PARTS.some((id) => !page.getElementById(id) !== !document.getElementById(id))) {
    location.assign(url);
    return;
  }
  PARTS.forEach((id) => replacePart(id, page));
  hideWhenLate();
  const next = document.querySelector("#undo button") ?? document.querySelector("main");
  /** @type {HTMLElement} */ (next).focus({ preventScroll: true });
}

/** Take away what can't be undone any more. */
function hideWhenLate() {
  /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("#undo form")).forEach((form) => {
    setTimeout(() => form.remove(), Number(form.dataset.seconds) * 1000);
  });
}

hideWhenLate();
