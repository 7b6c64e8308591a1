/** The arrow keys lead to the pictures of a batch beside this one, unless something on the page has the focus. */

document.addEventListener("keydown", (event) => {
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (rel && event.target === document.body && !event.altKey && !event.ctrlKey && !event.metaKey) {
    /** @type {HTMLAnchorElement | null} */ (document.querySelector(`.place [rel=${rel}]`))?.click();
  }
});
