/** Refuses at once what the server would refuse, in the server's words. */

/** @typedef {{message: string, hint: string}} Refusal */
/** @typedef {import("./incoming.js").Item} Item */
/**
 * What the server accepts, and what it says of the rest; of URLs only where it fetches none.
 *
 * @typedef {{bytes: number, pixels: number, most: number, refusals: Record<"empty" | "bytes" | "pixels" | "format", Refusal> & {url?: Refusal}}} Limits
 */

/** Return the limits that the front page's form tells. @param {HTMLFormElement} form @returns {Limits} */
export function limitsOf({ dataset }) {
  return {
    bytes: Number(dataset.maxBytes),
    pixels: Number(dataset.maxPixels),
    most: Number(dataset.mostTogether),
    refusals: JSON.parse(dataset.refusals ?? ""),
  };
}

/** Return what is said of more pictures than may be sent at once. @param {number} number @param {Limits} limits @returns {Refusal} */
export function tooMany(number, { most }) {
  return { message: `You chose ${number} pictures; at most ${most} can be uploaded at once.`, hint: "Upload the others afterwards." };
}

/** Return a paragraph that says what was refused, and why. @param {Refusal} refusal @param {string} [name] of the file, where it is one of several */
export function paragraphOf({ message, hint }, name) {
  const paragraph = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = name ? `${name}: ${message}` : message;
  paragraph.append(strong, ` ${hint}`);
  return paragraph;
}

/** @type {Refusal} */
export const NO_PICTURE = { message: "There is no picture in this folder.", hint: "Choose another one." };

/**
 * Return why a picture can't be sent, or null. What could be one is left for the server to judge.
 *
 * @param {Item} file
 * @param {Limits} limits
 * @returns {Promise<Refusal | null>}
 */
export async function refusal(file, { bytes, refusals }) {
  if (file instanceof URL) {
    return refusals.url ?? null;
  }
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
