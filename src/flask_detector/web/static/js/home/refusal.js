/** Refuses at once what the server would refuse, in the server's words. */

/** @typedef {{message: string, hint: string}} Refusal */
/** @typedef {{bytes: number, pixels: number, refusals: Record<"empty" | "bytes" | "pixels" | "format", Refusal>}} Limits */

/**
 * Return why a file can't be sent, or null. What could be a picture is left for the server to judge.
 *
 * @param {File} file
 * @param {Limits} limits
 * @returns {Promise<Refusal | null>}
 */
export async function refusal(file, { bytes, refusals }) {
  if (file.size === 0) {
    return refusals.empty;
  }
  if (file.size > bytes) {
    return inMillions(refusals.bytes, file.size);
  }
  return isPicture(new Uint8Array(await file.slice(0, 16).arrayBuffer())) ? null : refusals.format;
}

/**
 * Return a picture's size in pixels, with a refusal if there are too many; null if the browser can't show it.
 *
 * @param {HTMLImageElement} image
 * @param {Limits} limits
 * @returns {Promise<{width: number, height: number, refusal: Refusal | null} | null>}
 */
export async function measure(image, { pixels, refusals }) {
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
    });
  } catch {
    return null;
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  const count = width * height;
  return { width, height, refusal: count <= pixels ? null : inMillions(refusals.pixels, count) };
}

/** @param {Refusal} refusal @param {number} count @returns {Refusal} */
function inMillions({ message, hint }, count) {
  return { message: message.replace("{}", (count / 1e6).toFixed(1)), hint };
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
