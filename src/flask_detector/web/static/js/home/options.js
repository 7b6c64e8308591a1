/** Says in a line which model and lowest score are chosen, while the options are folded. */

/** @param {HTMLFormElement} form */
export function connectOptions(form) {
  const line = /** @type {HTMLElement} */ (form.querySelector(".home-options-now"));
  const show = () => {
    const chosen = form.querySelectorAll("[name=model]:checked, [name=min_score] :checked");
    line.textContent = [...chosen].map((one) => /** @type {HTMLElement} */ (one).dataset.title).join(", ");
  };
  form.addEventListener("change", show);
  show();
}
