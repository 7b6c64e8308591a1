/** The editor: the picture with its objects, which are changed by hand and key and saved by themselves. */

import { Camera } from "../result/camera.js";
import { percent } from "../shared/format.js";
import { actionsOf } from "./actions.js";
import { Colours } from "./colours.js";
import { askWhich, showHelp } from "./dialogs.js";
import { connectKeys } from "./keys.js";
import { connectLabels } from "./labels.js";
import { maskMaker } from "./model_mask.js";
import { documentOf } from "./objects.js";
import { Painter } from "./painter.js";
import { connectPanel } from "./panel.js";
import { connectPointers } from "./pointers.js";
import { Saver } from "./saver.js";
import { Session } from "./session.js";
import { connectStatus } from "./status.js";
import { draftsOf, keepClasses, keepSteps, orderedClasses } from "./store.js";
import { connectToolbar } from "./toolbar.js";
import { boxTool } from "./tools/box.js";
import { brushTool } from "./tools/brush.js";
import { polygonTool } from "./tools/polygon.js";
import { selectTool } from "./tools/select.js";

/** @typedef {import("./objects.js").State} State */

/** @param {HTMLDialogElement} editor @param {{etag: string, document: import("./document.js").Document}} saved */
export function open(editor, saved) {
  const { annotations = "", token = "" } = editor.dataset;
  const isReadonly = "readonly" in editor.dataset;
  const size = { width: Number(editor.dataset.width), height: Number(editor.dataset.height) };
  const drafts = draftsOf(annotations);
  const draft = isReadonly ? null : drafts.get();
  const state = stateOf(draft?.document ?? saved.document);

  const suggestions = JSON.parse(editor.dataset.suggestions ?? "[]");
  const session = new Session(state, size, orderedClasses(byCount(state, suggestions)), isReadonly);
  const colours = new Colours(JSON.parse(editor.dataset.colours ?? "{}"), (editor.dataset.palette ?? "").split(" "));
  const saver = new Saver(annotations, token, draft?.etag ?? saved.etag, drafts);

  const frame = /** @type {HTMLElement} */ (editor.querySelector(".editor-frame"));
  const camera = new Camera(size.width, size.height);
  show(frame, camera, editor.dataset.picture ?? "");
  const painter = new Painter(frame, session, camera, colours);
  const openLabels = connectLabels(editor, session, camera, colours, suggestions, () => frame.focus());
  session.addEventListener("unnamed", openLabels);
  const tools = {
    select: selectTool(session, camera, openLabels),
    box: boxTool(session, camera),
    polygon: polygonTool(session, camera, colours),
    brush: brushTool(session, camera, colours, false),
    eraser: brushTool(session, camera, colours, true),
  };
  painter.drawTool = (context) => tools[session.tool].draw?.(context);
  connectPointers(frame, camera, () => tools[session.tool]);
  frame.addEventListener("pointerleave", () => session.point(null));
  session.addEventListener("change", () => (frame.style.cursor = tools[session.tool].cursor));

  const help = /** @type {HTMLDialogElement} */ (editor.querySelector(".editor-help"));
  /** Go to another page when all is saved, or can't be. @param {string} url */
  const leave = async (url) => {
    if ((await saver.flush()) || saver.status.kind === "refused") {
      location.href = url;
    }
  };
  const act = actionsOf({
    session,
    camera,
    frame,
    polygon: tools.polygon,
    cancel: () => tools[session.tool].cancel(),
    openLabels,
    makeMask: maskMaker(editor, session),
    showHelp: () => showHelp(help, Boolean(editor.dataset.mask)),
    leave: (to) => {
      const url = editor.dataset[to];
      if (url) {
        leave(to === "done" ? url : `${url}#correct`);
      }
    },
  });
  connectKeys(editor, frame, isReadonly, act);
  connectToolbar(editor, session, act);
  connectPanel(editor, session, colours, ({ box }) => camera.reveal(box));
  announce(editor, session);

  if (!isReadonly) {
    connectStatus(editor, saver);
    keepSteps(annotations, session.history, saver);
    session.history.addEventListener("change", () => {
      saver.save(documentOf(session.history.state, size));
      keepClasses(session.classes);
    });
    const conflict = /** @type {HTMLDialogElement} */ (editor.querySelector(".editor-conflict"));
    saver.addEventListener("change", async () => {
      if (saver.status.kind === "conflict" && !conflict.open) {
        const { rival } = saver.status;
        const mine = session.history.state;
        const choice = await askWhich(conflict, rival, mine.objects.length);
        saver.settle(rival, null);
        session.commit(stateOf(rival.document));
        if (choice === "mine") {
          session.commit(mine);
        }
      }
    });
  }
  editor.showModal();
  new ResizeObserver(() => camera.resize(frame.clientWidth, frame.clientHeight)).observe(frame);
  camera.resize(frame.clientWidth, frame.clientHeight);
  camera.begin();
  frame.focus();
  if (draft) {
    saver.resume(draft);
  }
  editor.dataset.ready = "";
}

/** @param {State} document @returns {State} */
const stateOf = ({ objects, labels, verified }) => ({ objects, labels, verified });

/** The classes of a picture, the most frequent first, then others that are suggested. @param {State} state @param {string[]} suggestions */
function byCount({ objects }, suggestions) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  objects.forEach(({ label }) => counts.set(label, (counts.get(label) ?? 0) + 1));
  const used = [...counts.keys()].sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0));
  return used.length ? used : suggestions.slice(0, 9);
}

/** @param {HTMLElement} frame @param {Camera} camera @param {string} url */
function show(frame, camera, url) {
  const image = new Image(camera.picture.width, camera.picture.height);
  image.alt = "";
  image.draggable = false;
  image.src = url;
  camera.addEventListener("change", () => {
    const { x, y, scale } = camera.imageTransform();
    image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    frame.classList.toggle("deep", camera.pixelSize >= 4);
  });
  frame.prepend(image);
}

/** Say what is selected: the canvases show it to eyes alone. @param {HTMLElement} editor @param {Session} session */
function announce(editor, session) {
  const said = /** @type {HTMLElement} */ (editor.querySelector(".editor-said"));
  /** @type {string | null} */
  let before = null;
  session.addEventListener("change", () => {
    const { selected, objects } = session;
    const now = selected && `${selected.id} ${selected.label} ${selected.verified}`;
    if (now !== before) {
      before = now;
      const score = selected?.source === "model" && selected.score !== null ? `, ${percent(selected.score)}` : "";
      said.textContent = selected
        ? `${selected.label}${score}${selected.verified ? ", verified" : ""}, object ${objects.indexOf(selected) + 1} of ${objects.length}`
        : "Nothing selected";
    }
  });
}
