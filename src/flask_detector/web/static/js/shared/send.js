/** Sends forms with upload progress, which `fetch` doesn't report. */

/** @typedef {{message: string, hint: string, status: number}} Trouble status: of HTTP; 0 where no answer came */
/** @typedef {{id: string, url: string, batch?: string, batch_url?: string, became?: string} | {error: Trouble}} Answer */

/**
 * Send a form's data and return the server's answer, or what went wrong on the way.
 *
 * @param {string} url
 * @param {FormData} data
 * @param {AbortSignal} signal rejects with an AbortError
 * @param {(share: number) => void} [onProgress] called with 0..1
 * @returns {Promise<Answer>}
 */
export function send(url, data, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) {
        onProgress?.(event.loaded / event.total);
      }
    });
    request.addEventListener("load", () => resolve(read(request)));
    request.addEventListener("error", () =>
      resolve({
        error: {
          message: "The server could not be reached.",
          hint: "Check your connection and try again.",
          status: 0,
        },
      }),
    );
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(data);
  });
}

/**
 * @param {XMLHttpRequest} request
 * @returns {Answer}
 */
function read(request) {
  const { status } = request;
  try {
    const answer = JSON.parse(request.responseText);
    return "error" in answer ? { error: { ...answer.error, status } } : answer;
  } catch {
    return { error: { message: `The server sent an unexpected response (${status}).`, hint: "Try again in a moment.", status } };
  }
}
