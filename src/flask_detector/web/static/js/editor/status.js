/** Says whether the picture is saved, and what stands in the way. */

/** @param {HTMLElement} editor @param {import("./saver.js").Saver} saver */
export function connectStatus(editor, saver) {
  const status = /** @type {HTMLElement} */ (editor.querySelector(".editor-status"));
  const trouble = /** @type {HTMLElement} */ (editor.querySelector(".editor-trouble"));
  const words = /** @type {HTMLElement} */ (trouble.querySelector("span"));
  const again = /** @type {HTMLButtonElement} */ (trouble.querySelector("button"));

  const show = () => {
    const { status: now, isKept } = saver;
    status.dataset.state = now.kind;
    status.textContent = { saved: "Saved", unsaved: "Saving…", saving: "Saving…", waiting: "Not saved", refused: "Not saved", conflict: "Not saved" }[now.kind];
    if (editor.matches(":active")) {
      // Not while something is drawn: the picture would move under the pointer.
      addEventListener("pointerup", () => setTimeout(show), { once: true });
      return;
    }
    if (now.kind === "saved" || now.kind === "conflict") {
      trouble.hidden = true;
    } else if (now.kind === "waiting" || now.kind === "refused") {
      trouble.hidden = false;
      const kept = isKept ? "Your changes are kept in this browser" : "This browser can’t keep your changes: leave this page open";
      const message = `${now.message.replace(/\.?$/, ".")} ${kept}${now.kind === "waiting" ? " and saved as soon as that works." : "."}`;
      if (words.textContent !== message) {
        words.textContent = message;
      }
    }
  };
  again.addEventListener("click", () => saver.now());
  addEventListener("online", () => saver.now());
  addEventListener("beforeunload", (event) => {
    if (!saver.isDone && !saver.isKept) {
      event.preventDefault();
    }
  });
  saver.addEventListener("change", show);
  show();
}
