/** Keeps pictures in a collection without leaving the page, and says where they are. */

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form instanceof HTMLFormElement && form.matches(".keep-form")) {
    event.preventDefault();
    keep(form, new FormData(form, event.submitter));
  }
});

/** @param {HTMLFormElement} form @param {FormData} data */
async function keep(form, data) {
  const menu = /** @type {HTMLDetailsElement} */ (form.closest("details"));
  const summary = /** @type {HTMLElement} */ (menu.querySelector("summary"));
  summary.ariaBusy = "true";
  menu.open = false;
  summary.focus();
  try {
    const headers = { Accept: "application/json" };
    // What the page shows by now is in its own URL.
    const url = form.action.replace(/\?.*|$/, location.search);
    const answer = await fetch(url, { method: "POST", body: data, headers });
    const found = await answer.json();
    if (answer.ok) {
      show(menu, ...wordsOf(found));
    } else {
      show(menu, `${found.error.message} ${found.error.hint}`);
    }
  } catch {
    show(menu, "The server could not be reached. Nothing was kept; try again.");
  }
  summary.ariaBusy = null;
}

/**
 * @param {{url: string, name: string, pictures: number, added: number, left_out: string[]}} kept
 * @returns {[string, string, string]} what to say, the collection's URL and its name
 */
function wordsOf({ url, name, pictures, added, left_out }) {
  const known = pictures - added;
  const words = pictures > 1 ? `${pictures} pictures are kept in ` : pictures ? "Kept in " : "Nothing was kept in ";
  const notes = [
    ...(known && pictures > 1 ? [`${known} of them were there already`] : known ? ["it was there already"] : []),
    ...(left_out.length ? [`left out: ${left_out.join("; ")}`] : []),
  ];
  return [words + (notes.length ? `\u0001 (${notes.join("; ")})` : "\u0001"), url, name];
}

/**
 * @param {HTMLElement} menu
 * @param {string} words with a character for the link's place
 * @param {string} [url]
 * @param {string} [name]
 */
function show(menu, words, url, name) {
  let note = /** @type {HTMLElement | null} */ (document.querySelector(".keep-note"));
  if (!note) {
    note = document.createElement("p");
    note.className = "notice keep-note";
    note.role = "status";
    (menu.closest("header") ?? menu).after(note);
  }
  note.classList.toggle("bad", !url);
  const [before, after = ""] = words.split("\u0001");
  note.replaceChildren(before);
  if (url && name) {
    const link = document.createElement("a");
    link.href = url;
    link.textContent = name;
    note.append(link, after, ".");
  }
}
