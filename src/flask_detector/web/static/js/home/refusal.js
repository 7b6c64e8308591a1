/** Refuses at once what the server would refuse, in the server's words (`errors.py`, `images.py`). */

/** @typedef {{message: string, hint: string}} Refusal */
/** @typedef {{bytes: number, pixels: number}} Limits */

/**
 * Say why a file can't be sent, or null.
 *
 * A file is what its first bytes say. What could be a picture is left for the server to judge.
 *
 * @param {File} file
 * @param {Limits} limits
 * @returns {Promise<Refusal | null>}
 */
export async function refusal(file, limits) {
  if (file.size === 0) {
    return {
      message: "The file is empty.",
      hint: "Check that the file opens on your computer, then send it again.",
    };
  }
  if (file.size > limits.bytes) {
    const size = (file.size / 1e6).toFixed(1);
    return {
      message: `The file has ${size} MB; at most ${limits.bytes / 1e6} are accepted here.`,
      hint: "Send a smaller file, for example a JPEG of the same picture.",
    };
  }
  if (!isPicture(new Uint8Array(await file.slice(0, 16).arrayBuffer()))) {
    return {
      message: "The file is not a picture of a known format.",
      hint: "Send a JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF picture.",
    };
  }
  return null;
}

/**
 * Return a picture's size in pixels, with a refusal if there are too many; null if the browser can't show it.
 *
 * @param {HTMLImageElement} image
 * @param {Limits} limits
 * @returns {Promise<{width: number, height: number, refusal: Refusal | null} | null>}
 */
export async function measure(image, limits) {
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
    });
  } catch {
    return null;
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  const pixels = width * height;
  const refusal =
    pixels <= limits.pixels
      ? null
      : {
          message:
            `The picture has ${(pixels / 1e6).toFixed(1)} million pixels; ` +
            `at most ${limits.pixels / 1e6} are accepted here.`,
          hint: "Scale the picture down and send it again.",
        };
  return { width, height, refusal };
}

/** @param {Uint8Array} head */
function isPicture(head) {
  const text = String.fromCharCode(...head);
  return (
    ["\xff\xd8\xff", "\x89PNG", "GIF8", "BM", "II", "MM"].some((signature) => text.startsWith(signature)) ||
    (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") ||
    text.slice(4, 8) === "ftyp"
  );
}
