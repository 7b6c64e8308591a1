/** Whether leaving the page would lose something: what was chosen or written in a form, and not sent. */

export function isUnsaved() {
  return [...document.forms].some((form) => [...form.elements].some(isChanged));
}

/** @param {Element} field */
function isChanged(field) {
  if (field instanceof HTMLSelectElement) {
    const initial = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(initial, 0);
  }
  if (field instanceof HTMLInputElement && field.type === "file") {
    return field.value !== "";
  }
  if (field instanceof HTMLInputElement && ["checkbox", "radio"].includes(field.type)) {
    return field.checked !== field.defaultChecked;
  }
  const isText = field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement;
  return isText && field.type !== "hidden" && !field.readOnly && field.value !== field.defaultValue;
}
