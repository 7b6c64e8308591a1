/** What the browser keeps of a picture: what is not saved yet, for good; the steps that can be undone, for this tab. */

/** @typedef {import("./saver.js").Draft} Draft */

const DRAFT = "editor-draft";
const LONGEST_KEPT = 30 * 24 * 3600 * 1000; // milliseconds
const MOST_STEPS = 500;

/**
 * Return where the drafts of a picture are kept: one for each tab, so that none overwrites another's.
 *
 * @param {string} url @returns {import("./saver.js").Drafts}
 */
export function draftsOf(url) {
  const prefix = `${DRAFT} ${url} `;
  const own = prefix + tab();
  return {
    get() {
      forget();
      const others = keysOf(localStorage).filter((key) => key.startsWith(prefix) && key !== own);
      const drafts = [own, ...others].map((key) => ({ key, draft: draftAt(key) })).filter(({ draft }) => draft);
      // A tab that was closed leaves one behind; its own it knows again after a reload.
      const [found] = drafts.sort((a, b) => Number(b.key === own) - Number(a.key === own) || b.draft.at - a.draft.at);
      if (found && found.key !== own) {
        write(localStorage, found.key, null);
        write(localStorage, own, JSON.stringify(found.draft));
      }
      return found?.draft ?? null;
    },
    put: (draft) => write(localStorage, own, draft && JSON.stringify(draft)),
  };
}

/** Remove drafts of pictures that nobody came back to. */
function forget() {
  for (const key of keysOf(localStorage).filter((name) => name.startsWith(DRAFT))) {
    if (!(Date.now() - draftAt(key)?.at < LONGEST_KEPT)) {
      write(localStorage, key, null);
    }
  }
}

/** @param {string} key */
function draftAt(key) {
  const text = read(localStorage, key);
  return text && JSON.parse(text);
}

/** Return a name for this tab that it keeps when it is reloaded. */
function tab() {
  const name = read(sessionStorage, "editor-tab") ?? String(Math.random()).slice(2);
  write(sessionStorage, "editor-tab", name);
  return name;
}

/**
 * Keep a picture's steps when the page is left; take over those of the same version when it comes back.
 *
 * @param {string} url @param {import("./history.js").History} history @param {import("./saver.js").Saver} saver
 */
export function keepSteps(url, history, saver) {
  const key = `editor-steps ${url}`;
  const text = read(sessionStorage, key);
  const kept = text && JSON.parse(text);
  if (kept?.etag === saver.etag) {
    history.restore(kept.steps);
  }
  addEventListener("pagehide", () => {
    for (let most = MOST_STEPS; most > 0; most = Math.floor(most / 2)) {
      if (write(sessionStorage, key, JSON.stringify({ etag: saver.etag, steps: history.toText(most) }))) {
        return;
      }
    }
  });
}

/** The order of classes, and so their digits, stays from picture to picture of a tab. @param {string[]} labels by which it is filled up */
export function orderedClasses(labels) {
  const kept = read(sessionStorage, "editor-classes");
  return [...new Set([...(kept ? JSON.parse(kept) : []), ...labels])];
}

/** @param {string[]} classes */
export function keepClasses(classes) {
  write(sessionStorage, "editor-classes", JSON.stringify(classes));
}

/** @param {Storage} storage */
function keysOf(storage) {
  try {
    return Object.keys(storage);
  } catch {
    return [];
  }
}

/** @param {Storage} storage @param {string} key */
function read(storage, key) {
  try {
    return storage.getItem(key);
  } catch {
    return null; // switched off
  }
}

/** Return whether it is kept. @param {Storage} storage @param {string} key @param {string | null} text null to remove it */
function write(storage, key, text) {
  try {
    text === null ? storage.removeItem(key) : storage.setItem(key, text);
    return true;
  } catch {
    return false; // full, or switched off
  }
}
