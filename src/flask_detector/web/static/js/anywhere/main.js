/** On every page but the first one: what is dropped or pasted is sent at once. The rest is loaded only then. */

import { receivePictures } from "../shared/incoming.js";

const panel = /** @type {HTMLElement} */ (document.getElementById("incoming"));
const target = /** @type {HTMLElement} */ (document.getElementById("drop-target"));

const sender = () => import("./send.js");

receivePictures(
  target,
  async (items) => (await sender()).sendAtOnce(panel, items),
  async () => (await sender()).namePurpose(panel, /** @type {HTMLElement} */ (target.querySelector(".drop-target-model"))),
);
