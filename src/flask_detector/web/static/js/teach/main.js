/** The page that begins a run of teaching: its estimate follows what is chosen. */

import { parsed, replacePart } from "../shared/parts.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("teach"));

async function estimate() {
  const asked = /** @type {[string, string][]} */ ([...new FormData(form)].filter(([name]) => name !== "csrf_token"));
  try {
    const answer = await fetch(`${location.pathname}?${new URLSearchParams(asked)}`);
    replacePart("estimate", parsed(await answer.text()));
  } catch {
    // The server is away for now: what was estimated last stays.
  }
}

form.addEventListener("change", estimate);
