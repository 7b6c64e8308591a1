/** An open menu closes when something else is clicked, when the focus leaves it, and by Escape. */

/** @param {(menu: HTMLDetailsElement) => void} act */
function forOpenMenus(act) {
  /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll(".menu[open]")).forEach(act);
}

document.addEventListener("click", ({ target }) => {
  forOpenMenus((menu) => {
    const inside = target instanceof Node && menu.contains(target);
    if (!inside || (target instanceof Element && target.closest("a"))) {
      menu.open = false;
    }
  });
});

document.addEventListener("focusout", ({ relatedTarget }) => {
  forOpenMenus((menu) => {
    if (relatedTarget instanceof Node && !menu.contains(relatedTarget)) {
      menu.open = false;
    }
  });
});

document.addEventListener(
  "keydown",
  (event) => {
    if (event.key === "Escape") {
      forOpenMenus((menu) => {
        menu.open = false;
        menu.querySelector("summary")?.focus();
        event.stopPropagation();
      });
    }
  },
  { capture: true },
);
