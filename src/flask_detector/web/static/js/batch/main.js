/** A batch's page: a change of what is shown acts at once, without the button. */

import { percent } from "../shared/format.js";
import "../shared/keep.js";
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

document.addEventListener("input", ({ target }) => {
  if (target instanceof HTMLInputElement && target.type === "range") {
    delete target.dataset.default;
    target.ariaValueText = percent(target.valueAsNumber);
    /** @type {HTMLOutputElement} */ (target.parentElement?.querySelector("output")).value = target.ariaValueText;
  }
});

document.addEventListener("change", ({ target }) => {
  const form = target instanceof Element ? target.closest("form") : null;
  if (form instanceof HTMLFormElement && form.id === "filters") {
    const data = new FormData(form);
    if (form.querySelector("#score[data-default]")) {
      data.delete("score"); // it may be another one for each picture
    }
    const fields = [...data].filter(([, value]) => value !== "");
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
  hideOthers(new URLSearchParams(location.search).getAll("only"));
  // Whoever is quicker than the answer gets what was chosen, too.
  /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("#download a, #records .record > a")).forEach(
    (link) => {
      link.search = location.search;
    },
  );
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

/** Hide at once what is left out; what comes, and the totals, are in the answer. @param {string[]} only labels; none for all */
function hideOthers(only) {
  /** @type {NodeListOf<SVGPathElement>} */ (document.querySelectorAll("#records .record-boxes path")).forEach((path) => {
    path.classList.toggle("away", only.length > 0 && !only.includes(path.dataset.label ?? ""));
  });
}
