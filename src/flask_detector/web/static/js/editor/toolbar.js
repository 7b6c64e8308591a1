/** The buttons: each does what its key does. */

/** @typedef {import("./session.js").Session} Session */

/**
 * @param {HTMLElement} editor @param {Session} session @param {(action: string) => void} act
 */
export function connectToolbar(editor, session, act) {
  const buttons = /** @type {HTMLButtonElement[]} */ ([...editor.querySelectorAll("button[data-action]")]);
  const find = (/** @type {string} */ action) => buttons.filter((button) => button.dataset.action === action);
  const size = /** @type {HTMLInputElement | null} */ (editor.querySelector("[name=brush-size]"));

  editor.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[data-action]") : null;
    if (button instanceof HTMLButtonElement) {
      act(button.dataset.action ?? "");
    }
  });
  size?.addEventListener("input", () => {
    session.brushSize = size.valueAsNumber;
  });

  const show = () => {
    const { history, selected, tool } = session;
    for (const name of /** @type {const} */ (["select", "box", "polygon", "brush", "eraser"])) {
      find(name).forEach((button) => (button.ariaPressed = String(tool === name)));
    }
    /** @param {string} action @param {boolean} isAble */
    const enable = (action, isAble) => find(action).forEach((button) => (button.disabled = !isAble));
    enable("undo", history.canUndo);
    enable("redo", history.canRedo);
    for (const action of ["duplicate", "remove", "relabel", "mask"]) {
      enable(action, selected !== null && !session.isReadonly);
    }
    find("alone").forEach((button) => (button.ariaPressed = String(session.isAlone)));
    const isVerified = selected ? selected.verified : history.state.verified;
    find("verify").forEach((button) => {
      button.ariaPressed = String(isVerified);
      button.title = selected ? "This object is verified (Space)" : "The whole picture is verified (Space)";
    });
    if (size) {
      size.valueAsNumber = session.brushSize;
      /** @type {HTMLElement} */ (size.closest("label")).hidden = tool !== "brush" && tool !== "eraser";
    }
  };
  session.addEventListener("change", show);
  show();
}
