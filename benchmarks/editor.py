"""How the editor answers to the hand, in headless Chromium: the figures that it is held to.

Starts a Redis and a web process, lets the worker of crowd.py find 100 outlined objects in a picture of 24
megapixels, and prints

- the time from the key to the open editor, the first time and with its files in the browser's cache;
- the time between two frames while a box is moved, among 300 and among 1,000 objects;
- the time from sending a change until it is saved, of 100 masks and of 1,000 boxes.

    python -m benchmarks.editor [--chromium PATH]

Headless Chromium draws without a graphics processor: frames are dearer here than on a desk.
"""

import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks import results
from benchmarks.pages import large_picture, served

ROUNDS = 5

_FRAMES = """(start) => new Promise((resolve) => {
  const frame = document.querySelector(".editor-frame");
  const send = (type, x, y) => frame.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, pointerType: "mouse", button: 0, buttons: 1, clientX: x, clientY: y, bubbles: true,
  }));
  frame.setPointerCapture = () => {};
  const times = [];
  let last = performance.now();
  send("pointerdown", ...start);
  const next = (now) => {
    times.push(now - last);
    last = now;
    if (times.length > 120) {
      send("pointerup", ...start);
      return resolve(times.slice(2));
    }
    const angle = times.length / 9;
    send("pointermove", start[0] + 60 * Math.sin(angle), start[1] + 60 * Math.cos(angle));
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""

_PUT = """async (objects) => {
  const { annotations, token, width, height } = document.querySelector("dialog.editor").dataset;
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token, "If-Match": "*" };
  const body = JSON.stringify({ version: 1, width: +width, height: +height, labels: [], objects });
  const response = await fetch(annotations, { method: "PUT", headers, body });
  if (!response.ok) throw new Error(await response.text());
}"""

_SAVINGS = """performance.getEntriesByType("resource")
  .filter(({ name }) => name.includes("/annotations")).slice(1).map(({ duration }) => duration)"""


def main() -> None:
    """Run the measurements and print the figures."""
    parser = results.arguments(__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as parts:
        url = parts.send(large_picture())
        parts.work_off()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            figures = {**readiness(browser, url), **editing(browser, url)}
            browser.close()
    if options.record:
        results.record("editor", "python -m benchmarks.editor", figures)


def readiness(browser: Browser, url: str) -> results.Figures:
    """Print and return the milliseconds from the key to the open editor."""
    first, again = [], []
    for _ in range(ROUNDS):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        first.append(_ready(context, url)[1])
        again.append(_ready(context, url)[1])
        context.close()
    figures = {"first": statistics.median(first), "again": statistics.median(again)}
    print(f"editor ready: {figures['first']:.0f} ms, with its files in the cache {figures['again']:.0f} ms")
    return {"ready": figures}


def _ready(context: BrowserContext, url: str) -> tuple[Page, float]:
    page = context.new_page()
    page.goto(url)
    page.locator(".result-shapes").wait_for()
    page.wait_for_load_state("networkidle")
    page.keyboard.press("e")
    page.locator("dialog.editor[data-ready]").wait_for()
    milliseconds: float = page.evaluate("performance.getEntriesByName('editor-ready')[0].duration")
    return page, milliseconds


def editing(browser: Browser, url: str) -> results.Figures:
    """Print and return how long frames take while a box is moved, and how long saving takes."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    figures: results.Figures = {}
    page, _ = _ready(context, url)
    figures |= _frames(page, "a mask among 100") | _saving(page, "100 masks")
    for number in (300, 1000):
        page.evaluate(_PUT, _boxes(number))
        page.close()
        page, _ = _ready(context, url)
        figures |= _frames(page, f"a box among {number}") | _saving(page, f"{number} boxes")
    context.close()
    return figures


def _boxes(number: int) -> list[dict[str, object]]:
    """Return boxes all over the picture; the last one is in its middle, the smallest."""
    random = np.random.default_rng(0)
    corners = random.integers(0, (5400, 3600), (number, 2))
    sizes = random.integers(150, 600, (number, 2))
    sizes[-1], corners[-1] = 140, (2930, 1930)
    boxes = np.hstack([corners, np.minimum(corners + sizes, (6000, 4000))]).tolist()
    return [{"id": f"p{i}", "label": f"class {i % 12}", "box": box} for i, box in enumerate(boxes)]


def _frames(page: Page, what: str) -> results.Figures:
    page.locator(".editor-objects li").last.click()
    page.wait_for_timeout(500)
    page.keyboard.press("0")
    area = page.locator(".editor-frame > img").bounding_box()
    assert area is not None
    middle = [area["x"] + area["width"] / 2, area["y"] + area["height"] / 2]
    times = page.evaluate(_FRAMES, middle)
    page.locator("[data-action=undo]:enabled").wait_for()  # it was moved
    p50, p95 = (float(ms) for ms in np.percentile(times, [50, 95]))
    print(f"moving {what:18} median {p50:5.1f} ms, 95% {p95:5.1f} ms, longest {max(times):5.1f} ms")
    return {f"moving {what}": {"p50": p50, "p95": p95}}


def _saving(page: Page, what: str) -> results.Figures:
    page.locator(".editor-objects").focus()
    for _ in range(ROUNDS):
        page.keyboard.press("Space")
        page.locator(".editor-status[data-state=unsaved]").wait_for()
        page.locator(".editor-status[data-state=saved]").wait_for()
    milliseconds = statistics.median(page.evaluate(_SAVINGS)[-ROUNDS:])
    print(f"saving {what}: {milliseconds:.0f} ms")
    return {f"saving {what}": {"p50": milliseconds}}


if __name__ == "__main__":
    main()
