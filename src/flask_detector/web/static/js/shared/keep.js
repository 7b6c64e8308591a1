/** Keeps pictures in a collection without leaving the page, and says where they are. */

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button instanceof HTMLButtonElement && button.matches("[data-keeps]")) {
    event.preventDefault();
    keep(button, new FormData(/** @type {HTMLFormElement} */ (event.target), button));
  }
});

// In a form of several purposes Enter would press the first button of all.
document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (event.key === "Enter" && field instanceof HTMLInputElement && field.id === "keep-name") {
    event.preventDefault();
    /** @type {HTMLButtonElement} */ (field.parentElement?.querySelector("[data-keeps]")).click();
  }
});

/** @param {HTMLButtonElement} button @param {FormData} data */
async function keep(button, data) {
  const menu = /** @type {HTMLDetailsElement} */ (button.closest("details"));
  const summary = /** @type {HTMLElement} */ (menu.querySelector("summary"));
  summary.ariaBusy = "true";
  menu.open = false;
  summary.focus();
  try {
    // What the page shows by now is in its own URL.
    const url = button.formAction.replace(/\?.*|$/, location.search);
    const answer = await fetch(url, { method: "POST", body: data, headers: { Accept: "application/json" } });
    const found = await answer.json();
    if (answer.ok && found.moved) {
      location.reload();
    } else if (answer.ok) {
      show(menu, ...wordsOf(found), found);
    } else {
      show(menu, `${found.error.message} ${found.error.hint}`);
    }
  } catch {
    show(menu, "The server could not be reached. Nothing was kept; try again.");
  }
  summary.ariaBusy = null;
}

/**
 * @param {{pictures: number, added: number, left_out: string[]}} kept
 * @returns {[string, string]} what to say before the collection's name and behind it
 */
function wordsOf({ pictures, added, left_out }) {
  const known = pictures - added;
  const words = pictures > 1 ? `${pictures} pictures are kept in ` : pictures ? "Kept in " : "Nothing was kept in ";
  const notes = [
    ...(known && pictures > 1 ? [`${known} of them were there already`] : known ? ["it was there already"] : []),
    ...(left_out.length ? [`left out: ${left_out.join("; ")}`] : []),
  ];
  return [words, notes.length ? ` (${notes.join("; ")}).` : "."];
}

/**
 * @param {HTMLElement} menu
 * @param {string} words
 * @param {string} [after] behind the collection's name
 * @param {{url: string, name: string}} [collection]
 */
function show(menu, words, after, collection) {
  let note = /** @type {HTMLElement | null} */ (document.querySelector(".keep-note"));
  if (!note) {
    note = document.createElement("p");
    note.className = "notice keep-note";
    note.role = "status";
    const result = menu.closest(".result"); // a grid, in which it has no place
    if (result) {
      result.before(note);
    } else {
      (menu.closest("header, .selection") ?? menu).after(note);
    }
  }
  note.classList.toggle("bad", !collection);
  note.replaceChildren(words);
  if (collection && after) {
    const link = document.createElement("a");
    link.href = collection.url;
    link.textContent = collection.name;
    note.append(link, after);
  }
}
