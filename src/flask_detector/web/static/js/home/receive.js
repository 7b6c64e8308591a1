/** Pictures come by the file chooser, by dropping them or folders anywhere on the page, and from the clipboard. */

import { picturesIn } from "./folders.js";

/**
 * Report the pictures that come in.
 *
 * @param {HTMLInputElement} input
 * @param {(files: File[]) => void} onPictures
 */
export function receivePictures(input, onPictures) {
  /** @param {FileList | File[] | null | undefined} files */
  function take(files) {
    if (files?.length) {
      onPictures([...files]);
    }
  }

  input.addEventListener("change", () => take(input.files));

  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) {
      event.preventDefault();
      take(event.clipboardData.files);
    }
  });

  const page = document.documentElement;
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) {
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      page.classList.add("dragging");
    }
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) {
      page.classList.remove("dragging");
    }
  });
  document.addEventListener("drop", (event) => {
    page.classList.remove("dragging");
    const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
    if (entries.some((entry) => entry?.isDirectory)) {
      event.preventDefault();
      picturesIn(entries.filter((entry) => entry !== null)).then(onPictures);
    } else if (event.dataTransfer?.files.length) {
      event.preventDefault();
      take(event.dataTransfer.files);
    }
  });
}

/**
 * Report what another field brings: a phone's camera, a folder.
 *
 * @param {HTMLInputElement} field
 * @param {(files: File[]) => void} onPictures
 */
export function receiveFrom(field, onPictures) {
  field.addEventListener("change", () => {
    if (field.files?.length) {
      onPictures([...field.files]);
      field.value = "";
    }
  });
}

/**
 * Make these the files of a field.
 *
 * @param {HTMLInputElement} input
 * @param {File[]} files
 */
export function put(input, files) {
  const transfer = new DataTransfer();
  files.forEach((file) => transfer.items.add(file));
  input.files = transfer.files;
}
