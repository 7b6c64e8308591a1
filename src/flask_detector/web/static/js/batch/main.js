/** A batch's page: a change of what is shown acts at once, without the button. */

import "../shared/menu.js";
import "../shared/refresh.js";
import { connectSharing } from "../shared/share.js";

// What depends on the choice.
const PARTS = ["head", "download", "keep", "filters", "records"];

const showLink = connectSharing(document.body, () => location.search);

/** @type {AbortController | undefined} */
let asking;

document.addEventListener("change", ({ target }) => {
  const form = target instanceof Element ? target.closest("form") : null;
  if (form instanceof HTMLFormElement && form.id === "filters") {
    const fields = [...new FormData(form)].filter(([, value]) => value !== "");
    const query = new URLSearchParams(/** @type {[string, string][]} */ (fields));
    show(`${location.pathname}${query.size ? "?" : ""}${query}`);
  }
});

/** @param {string} url */
async function show(url) {
  asking?.abort();
  asking = new AbortController();
  history.replaceState(null, "", url);
  showLink();
  try {
    const answer = await fetch(url, { signal: asking.signal });
    if (!answer.ok) {
      location.assign(url); // shows what is wrong
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    PARTS.forEach((id) => replace(id, page));
  } catch (error) {
    if (!(error instanceof DOMException)) {
      location.assign(url);
    }
  }
}

/** Replace a part of the page; the field that has the focus keeps it. @param {string} id @param {Document} page */
function replace(id, page) {
  const now = page.getElementById(id);
  const part = document.getElementById(id);
  const field = document.activeElement;
  if (now && part) {
    part.replaceWith(now);
    if (field instanceof HTMLInputElement) {
      [...now.querySelectorAll("input")].find((one) => one.value === field.value)?.focus();
    } else if (field instanceof HTMLSelectElement) {
      document.getElementById(field.id)?.focus();
    }
  }
}
