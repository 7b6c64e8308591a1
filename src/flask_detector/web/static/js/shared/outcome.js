/** Waits a little for what becomes of a picture: a detection that ends soon needs no waiting page. */

import { follow } from "./follow.js";

const PATIENCE_MILLISECONDS = 1000;

/**
 * Wait until a detection has ended, or patience has.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 */
export function ended(url, signal) {
  return new Promise((resolve, reject) => {
    const stop = follow(`${url}/events`, `${url}/state`, (state) => state.final && finish(resolve));
    const timer = setTimeout(() => finish(resolve), PATIENCE_MILLISECONDS);
    signal.addEventListener("abort", () => finish(reject));

    /** @param {(value?: any) => void} settle */
    function finish(settle) {
      stop();
      clearTimeout(timer);
      settle();
    }
  });
}
