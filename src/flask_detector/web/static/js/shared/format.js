/** Numbers for people. */

/**
 * Return a file's size, such as "2.4 MB".
 *
 * @param {number} count
 */
export function bytes(count) {
  if (count < 1000) {
    return `${count} bytes`;
  }
  return count < 999_500 ? `${Math.round(count / 1000)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/**
 * Return a score as a whole percentage, such as "87%".
 *
 * @param {number} score in 0..1
 */
export function percent(score) {
  return `${Math.round(score * 100)}%`;
}

/**
 * Return a number with its noun, such as "1 object" or "12 objects".
 *
 * @param {number} number
 * @param {string} noun
 */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
