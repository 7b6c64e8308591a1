/** A menu closes when something else is clicked, when the focus leaves it, and by Escape. */

/** @param {HTMLDetailsElement} menu */
export function closeByItself(menu) {
  document.addEventListener("click", (event) => {
    const inside = event.target instanceof Node && menu.contains(event.target);
    if (!inside || (event.target instanceof Element && event.target.closest("a"))) {
      menu.open = false;
    }
  });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget instanceof Node && !menu.contains(event.relatedTarget)) {
      menu.open = false;
    }
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
      event.stopPropagation();
    }
  });
}
