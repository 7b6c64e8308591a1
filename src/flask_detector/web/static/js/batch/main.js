/** A batch's page: a change of what is shown acts at once, without the button. */

import "../shared/menu.js";
import { parsed, replacePart } from "../shared/parts.js";
import "../shared/refresh.js";
import { connectSharing } from "../shared/share.js";
import "../shared/stay.js";

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
    const page = parsed(await answer.text());
    PARTS.forEach((id) => replacePart(id, page));
  } catch (error) {
    if (!(error instanceof DOMException)) {
      location.assign(url);
    }
  }
}
