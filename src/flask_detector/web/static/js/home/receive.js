/** Pictures come by the file chooser, by dropping them anywhere on the page, and from the clipboard; a photo from the camera. */

/**
 * Put the pictures that come in into the file field, and report them.
 *
 * @param {HTMLInputElement} input
 * @param {(files: File[]) => void} onPictures
 */
export function receivePictures(input, onPictures) {
  /** @param {FileList | undefined} files */
  function take(files) {
    if (files?.length) {
      onPictures(put(input, [...files]));
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

/**
 * Put what the phone's camera takes into the file field, and report it.
 *
 * @param {HTMLInputElement} camera the field that opens the camera
 * @param {HTMLInputElement} input
 * @param {(files: File[]) => void} onPictures
 */
export function receivePhoto(camera, input, onPictures) {
  camera.addEventListener("change", () => {
    if (camera.files?.length) {
      onPictures(put(input, [...camera.files]));
      camera.value = "";
    }
  });
}

/**
 * Make these the files of a field; return them.
 *
 * @param {HTMLInputElement} input
 * @param {File[]} files
 */
export function put(input, files) {
  const transfer = new DataTransfer();
  files.forEach((file) => transfer.items.add(file));
  input.files = transfer.files;
  return files;
}
