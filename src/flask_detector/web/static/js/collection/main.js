/** A collection's page: pictures are added and deleted without leaving it, and links copied. */

import { sendAtOnce } from "../anywhere/send.js";
import { canCopy, copy } from "../shared/copy.js";
import "../shared/keep.js";
import "../shared/menu.js";
import { connectFileForm } from "../shared/send_file.js";
import "../shared/stay.js";

const panel = /** @type {HTMLElement} */ (document.getElementById("incoming"));
const upload = document.getElementById("upload");
if (upload instanceof HTMLFormElement) {
  const field = /** @type {HTMLInputElement} */ (upload.elements.namedItem("picture"));
  upload.addEventListener("submit", (event) => {
    event.preventDefault();
    const files = [...(field.files ?? [])];
    field.value = "";
    sendAtOnce(panel, files);
  });
}

const dataset = document.getElementById("add-dataset");
if (dataset instanceof HTMLFormElement) {
  connectFileForm(dataset, "Part it, and import one ZIP after the other.");
}

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[name=copy]"))) {
  const link = /** @type {HTMLInputElement} */ (button.closest(".collection-link")?.querySelector("input"));
  link.addEventListener("focus", () => link.select());
  button.addEventListener("click", () => copy(document.body, button, "text/plain", Promise.resolve(link.value)));
  button.hidden = !canCopy;
}
