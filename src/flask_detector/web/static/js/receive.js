/** Pictures come by the file chooser, by dropping them anywhere on the page, and from the clipboard. */

/**
 * Put every picture that comes in into the file field, and tell of it.
 *
 * @param {HTMLInputElement} input
 * @param {(file: File) => void} onPicture
 */
export function receivePictures(input, onPicture) {
  /** @param {FileList | undefined} files */
  function take(files) {
    if (files?.length) {
      const transfer = new DataTransfer();
      transfer.items.add(files[0]);
      input.files = transfer.files;
      onPicture(files[0]);
    }
  }

  input.addEventListener("change", () => take(input.files ?? undefined));

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
    if (event.dataTransfer?.files.length) {
      event.preventDefault();
      take(event.dataTransfer.files);
    }
  });
}
