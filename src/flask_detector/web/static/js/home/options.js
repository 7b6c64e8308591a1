/** Shows the chosen model and minimum score in a line while the options are folded. */

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
