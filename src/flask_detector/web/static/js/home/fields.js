/** The fields for files on the front page. */

/**
 * Report the files that a field brings: a file chooser, a folder, a phone's camera.
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
