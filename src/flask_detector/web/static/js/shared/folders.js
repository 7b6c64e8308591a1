/** The pictures of folders. What else is in a folder nobody chose, so it is left out without a word. */

/** @param {File} file whose format a browser may not know */
export function looksLikePicture(file) {
  return file.type.startsWith("image/") || /\.(heic|heif|avif)$/i.test(file.name);
}

/**
 * Return files, and those in folders that look like pictures, in the order of their names.
 *
 * @param {FileSystemEntry[]} entries
 * @returns {Promise<File[]>}
 */
export async function picturesIn(entries) {
  const files = [];
  for (const entry of entries) {
    if (entry.isDirectory) {
      const inside = await picturesIn(await children(/** @type {FileSystemDirectoryEntry} */ (entry)));
      files.push(...inside.filter(looksLikePicture));
    } else {
      files.push(await fileOf(/** @type {FileSystemFileEntry} */ (entry)));
    }
  }
  return files;
}

/** Read until nothing more comes: a browser tells a hundred at a time. @param {FileSystemDirectoryEntry} folder */
async function children(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) {
      return all.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    }
    all.push(...some);
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
