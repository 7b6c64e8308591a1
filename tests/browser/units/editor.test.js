import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as geometry from "../../../src/flask_detector/web/static/js/editor/geometry.js";
import { History } from "../../../src/flask_detector/web/static/js/editor/history.js";
import { KEYS, keyOf } from "../../../src/flask_detector/web/static/js/editor/keys.js";
import { matching } from "../../../src/flask_detector/web/static/js/editor/labels.js";
import { moved, withBox, withStroke } from "../../../src/flask_detector/web/static/js/editor/objects.js";
import { brushed, extentOf, filled, joined, pixelsOf, rleOf, traced, without } from "../../../src/flask_detector/web/static/js/editor/regions.js";
import { Saver } from "../../../src/flask_detector/web/static/js/editor/saver.js";
import { Mask } from "../../../src/flask_detector/web/static/js/result/masks.js";

const SIZE = { width: 60, height: 40 };

/** A number generator with a fixed beginning, so that a failure can be repeated (Park and Miller, 1988). */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (state * 48271) % 2147483647;
    return state % limit;
  };
}

/** The pixels of a region as text, one sign each. */
function pixels({ left, starts, tops, bottoms }, { width, height } = SIZE) {
  const all = Array.from({ length: height }, () => Array(width).fill("."));
  for (let i = 0; i < starts.length - 1; i++) {
    for (let run = starts[i]; run < starts[i + 1]; run++) {
      for (let y = tops[run]; y < bottoms[run]; y++) {
        all[y][left + i] = "#";
      }
    }
  }
  return all.map((row) => row.join("")).join("\n");
}

/** A picture of those pixels that a rule of their centres names. */
function drawn(rule) {
  return Array.from({ length: SIZE.height }, (_, y) =>
    Array.from({ length: SIZE.width }, (_, x) => (rule(x + 0.5, y + 0.5) ? "#" : ".")).join(""),
  ).join("\n");
}

function polygon(next) {
  return Array.from({ length: 3 + next(6) }, () => [next(700) / 10 - 5 + 0.03, next(500) / 10 - 5 + 0.03]);
}

test("a box never leaves the picture nor loses its area, whatever is dragged where", () => {
  const next = numbers(3);
  for (let i = 0; i < 500; i++) {
    const handle = Object.keys(geometry.HANDLES)[next(8)];
    const box = geometry.resizedBox([10, 10, 30, 20], handle, next(200) - 100, next(200) - 100, SIZE);
    const [x1, y1, x2, y2] = geometry.movedBox(box, next(200) - 100, next(200) - 100, SIZE);
    assert.ok(x1 >= 0 && y1 >= 0 && x2 <= 60 && y2 <= 40 && x2 - x1 >= 1 && y2 - y1 >= 1);
  }
});

test("a side dragged past the other one goes on there", () => {
  assert.deepEqual(geometry.resizedBox([10, 10, 30, 20], "w", 25, 0, SIZE), [30, 10, 35, 20]);
});

test("outlines are filled by the centres of pixels", () => {
  const next = numbers(5);
  for (let i = 0; i < 50; i++) {
    const part = [polygon(next), polygon(next)];
    assert.equal(pixels(filled([part], SIZE)), drawn((x, y) => geometry.covers([part], [x, y])));
  }
});

test("a brush covers the pixels whose centres are near its way", () => {
  const next = numbers(9);
  for (let i = 0; i < 50; i++) {
    const way = Array.from({ length: 1 + next(4) }, () => [next(800) / 10 - 10 + 0.03, next(600) / 10 - 10 + 0.07]);
    const radius = 1 + next(80) / 10 + 0.01;
    const near = (x, y) =>
      way.some(([x2, y2], k) => {
        const [x1, y1] = way[Math.max(k - 1, 0)];
        const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
        const t = length && Math.min(Math.max(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length, 0), 1);
        return Math.hypot(x1 + t * (x2 - x1) - x, y1 + t * (y2 - y1) - y) <= radius;
      });
    assert.equal(pixels(brushed(way, radius, SIZE)), drawn(near));
  }
});

test("regions are joined and taken away pixel by pixel, and come back from run lengths", () => {
  const next = numbers(11);
  for (let i = 0; i < 50; i++) {
    const [a, b] = [[[polygon(next)]], [[polygon(next)]]];
    const [of, inA, inB] = [filled, (x, y) => geometry.covers(a, [x, y]), (x, y) => geometry.covers(b, [x, y])];
    assert.equal(pixels(joined(of(a, SIZE), of(b, SIZE))), drawn((x, y) => inA(x, y) || inB(x, y)));
    const left = without(of(a, SIZE), of(b, SIZE));
    assert.equal(pixels(left), drawn((x, y) => inA(x, y) && !inB(x, y)));
    assert.equal(pixels(new Mask(rleOf(left, SIZE)).columns), pixels(left));
  }
});

test("the corners of a mask cover nearly the same pixels, holes left out", () => {
  const ring = [[5, 5], [55, 8], [50, 36], [8, 30]];
  const hole = [[20, 12], [40, 14], [30, 26]];
  const columns = filled([[ring, hole]], SIZE);
  const parts = traced(columns);
  assert.deepEqual(parts.map(({ length }) => length), [2]);
  assert.ok(parts.flat(2).length < 40);
  const other = filled(parts, SIZE);
  const apart = pixelsOf(without(columns, other)) + pixelsOf(without(other, columns));
  assert.ok(apart < 0.05 * pixelsOf(columns));
});

test("a rectangle that was drawn as an outline keeps its four corners", () => {
  assert.equal(traced(filled([[[[5, 5], [25, 5], [25, 15], [5, 15]]]], SIZE)).flat(2).length, 4);
});

test("a mask that is moved keeps its pixels", () => {
  const columns = filled([[[[5, 5], [25, 8], [15, 20]]]], SIZE);
  const object = { id: "m0", label: "cat", source: "model", score: 0.5, verified: false, box: extentOf(columns), mask: rleOf(columns, SIZE) };
  const after = moved(object, 7, 3, SIZE);
  assert.equal(pixelsOf(new Mask(after.mask).columns), pixelsOf(columns));
  assert.deepEqual(extentOf(new Mask(after.mask).columns), after.box);
  assert.deepEqual([after.source, after.score], ["person", 0.5]);
  const wide = withBox(object, [5, 5, 45, 20], SIZE);
  assert.deepEqual(geometry.boundsOf(wide.polygons).map(Math.round), [5, 5, 45, 20]);
});

test("what is erased whole is no object any more", () => {
  const stroke = brushed([[20, 20]], 5, SIZE);
  const object = { id: "p1", label: "cat", source: "person", score: null, verified: false, box: extentOf(stroke), mask: rleOf(stroke, SIZE) };
  assert.equal(withStroke(object, brushed([[20, 20]], 9, SIZE), true, SIZE), null);
});

test("an outline loses its corners one by one, then its rings, then itself", () => {
  const at = (part, ring, corner) => ({ part, ring, corner });
  const four = [[[[0, 0], [9, 0], [9, 9], [0, 9]], [[2, 2], [4, 2], [4, 4]]]];
  assert.equal(geometry.withoutCorner(four, at(0, 0, 1))[0][0].length, 3);
  assert.equal(geometry.withoutCorner(four, at(0, 1, 1))[0].length, 1);
  assert.equal(geometry.withoutCorner([[[[0, 0], [9, 0], [9, 9]]]], at(0, 0, 0)), null);
});

test("steps are undone and redone without end, joined where they belong together, and kept as text", () => {
  const state = (n) => ({ objects: [{ id: "a", box: [n, 0, 9, 9] }, SHARED], labels: [], verified: false });
  const history = new History(state(0));
  for (let n = 1; n <= 1000; n++) {
    history.commit(state(n));
  }
  for (let n = 0; n < 1000; n++) {
    history.undo();
  }
  assert.equal(history.canUndo, false);
  assert.deepEqual(history.state, state(0));
  history.redo();
  assert.deepEqual(history.state, state(1));
  history.commit(state(2), "move a");
  history.commit(state(3), "move a");
  history.commit(state(4), "move b");
  history.undo();
  assert.deepEqual(history.state, state(3));
  history.undo();
  assert.deepEqual(history.state, state(1));
  const again = new History(state(1));
  again.restore(history.toText(500));
  again.redo();
  assert.deepEqual(again.state, state(3));
});

const SHARED = { id: "b", box: [0, 0, 1, 1] };

test("typing finds classes by their beginning, by a word and within, whatever case and accent", () => {
  const labels = ["traffic light", "cat", "bobcat", "Kätzchen", "wild cat"];
  assert.deepEqual(matching(labels, "cat"), ["cat", "wild cat", "bobcat"]);
  assert.deepEqual(matching(labels, "KATZ"), ["Kätzchen"]);
  assert.deepEqual(matching(labels, ""), labels);
});

test("keys are known by their letters, on other keyboards by their place", () => {
  const key = (key, code, more = {}) => keyOf({ key, code, ctrlKey: false, metaKey: false, shiftKey: false, ...more });
  assert.equal(key("w", "KeyW"), "w");
  assert.equal(key("ц", "KeyW"), "w");
  assert.equal(key("Z", "KeyZ", { ctrlKey: true, shiftKey: true }), "ctrl+shift+z");
  assert.equal(key("?", "Slash", { shiftKey: true }), "?");
  assert.equal(key("ArrowUp", "ArrowUp", { shiftKey: true, ctrlKey: true }), "shift+arrow");
});

test("the documentation names every key as the help does", () => {
  const page = readFileSync(new URL("../../../docs/correcting.md", import.meta.url), "utf8");
  for (const { name, does } of Object.values(KEYS)) {
    assert.ok(page.includes(`| ${name} | ${does} |`), `${name}: ${does}`);
  }
});

/** A server that answers as it is told, and a browser that keeps drafts. */
function saving(answers, draft = null) {
  const sent = [];
  const kept = { draft };
  const drafts = { get: () => kept.draft, put: (value) => ((kept.draft = value), true) };
  const request = async (url, { method = "GET", headers, body } = {}) => {
    sent.push(method === "PUT" ? { body: JSON.parse(body), version: headers["If-Match"] } : method);
    const answer = answers.shift();
    if (answer instanceof Error) {
      throw answer;
    }
    return new Response(JSON.stringify(answer.body ?? {}), { status: answer.status ?? 200, headers: { ETag: answer.etag ?? "" } });
  };
  return { saver: new Saver("/a", "token", '"1"', drafts, request), sent, kept };
}

const until = (saver, kind) =>
  new Promise((resolve) => {
    const look = () => saver.status.kind === kind && resolve();
    saver.addEventListener("change", look);
    look();
  });

test("a change is saved under the version that it replaces, and kept in the browser until then", async () => {
  const { saver, sent, kept } = saving([{ etag: '"2"' }, { etag: '"3"' }]);
  saver.save({ objects: [1] });
  saver.save({ objects: [1, 2] });
  assert.deepEqual(kept.draft.document, { objects: [1, 2] });
  assert.equal(await saver.flush(), true);
  saver.save({ objects: [] });
  await saver.flush();
  assert.deepEqual(sent, [
    { body: { objects: [1, 2] }, version: '"1"' },
    { body: { objects: [] }, version: '"2"' },
  ]);
  assert.equal(kept.draft, null);
});

test("what had no answer is sent again before what came after it", async () => {
  const { saver, sent, kept } = saving([new TypeError("no network"), { etag: '"2"' }, { etag: '"3"' }]);
  saver.save({ objects: [1] });
  await saver.flush();
  assert.equal(saver.status.kind, "waiting");
  saver.save({ objects: [1, 2] });
  assert.deepEqual(kept.draft.sent, { objects: [1] });
  await saver.flush();
  assert.deepEqual(sent.map(({ body, version }) => [body.objects.length, version]), [[1, '"1"'], [1, '"1"'], [2, '"2"']]);
});

test("after a restart a draft goes on where it was", async () => {
  const { saver, sent } = saving([{ etag: '"2"' }, { etag: '"3"' }]);
  saver.resume({ etag: '"1"', sent: { objects: [1] }, document: { objects: [1, 2] }, at: 0 });
  assert.equal(await saver.flush(), true);
  assert.deepEqual(sent.map(({ body }) => body.objects.length), [1, 2]);
});

test("where somebody else was first nothing is overwritten, and the draft stays", async () => {
  const error = { message: "It was changed meanwhile by somebody else.", hint: "" };
  const theirs = { objects: [7], labels: [], verified: false };
  const { saver, sent, kept } = saving([{ status: 412, body: { error } }, { etag: '"9"', body: theirs }, { etag: '"10"' }]);
  saver.save({ objects: [1] });
  await until(saver, "conflict");
  assert.deepEqual(saver.status.rival, { etag: '"9"', document: theirs, message: error.message });
  assert.deepEqual(kept.draft.document, { objects: [1] });
  saver.settle(saver.status.rival, { objects: [1] });
  await saver.flush();
  assert.equal(sent.at(-1).version, '"9"');
});

test("a refusal is told in the server's words and keeps the draft", async () => {
  const { saver, kept } = saving([{ status: 410, body: { error: { message: "The picture is gone.", hint: "" } } }]);
  saver.save({ objects: [1] });
  assert.equal(await saver.flush(), false);
  assert.deepEqual(saver.status, { kind: "refused", message: "The picture is gone." });
  assert.ok(kept.draft);
});
