/** The operator's page of models: files of weights are sent with progress, and can be cancelled. */

import { connectFileForm } from "../shared/send_file.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("add"));
connectFileForm(form, "Save the model's state dict alone, without the optimizer's.");
