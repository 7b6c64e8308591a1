/** The document of annotations (docs/results.md), as the server sends it. */

/** @typedef {import("./objects.js").State & {version: number, width: number, height: number}} Document */

/** The server's answer was an error, in its words. */
export class Refusal extends Error {}

/**
 * Return the version that is saved now; raises Refusal.
 *
 * @param {string} url
 * @param {typeof fetch} request
 * @returns {Promise<{etag: string, document: Document}>}
 */
export async function current(url, request = fetch) {
  const response = await request(url, { headers: { Accept: "application/json" }, cache: "no-store" });
  if (!response.ok) {
    throw new Refusal(await messageOf(response));
  }
  return { etag: response.headers.get("ETag") ?? "", document: await response.json() };
}

/** Return what the server says of an error. @param {Response} response */
export async function messageOf(response) {
  try {
    const { error } = await response.json();
    return response.status === 412 ? error.message : `${error.message} ${error.hint ?? ""}`.trim();
  } catch {
    return `The server sent an unexpected response (${response.status}).`;
  }
}
