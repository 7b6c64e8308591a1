"""How fast long lists are, in headless Chromium: the figures that they are held to.

Starts a Redis and a web process, sends a thousand pictures from the first page in ten batches, lets a worker
find twelve objects in each, and prints for a batch of 100 and for the history of all

- the time until the server has answered, and the size of its answer;
- the time between two frames while the list is scrolled from its top to its end and back.

    python -m benchmarks.lists [--chromium PATH]

Headless Chromium draws without a graphics processor: frames are dearer here than on a desk.
"""

import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import FilePayload, Page, sync_playwright

from benchmarks import results
from benchmarks.pages import served
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.structures.detections import Detections
from tests.support.parts import Parts
from tests.support.pictures import picture

BATCHES, PICTURES, OBJECTS = 10, 100, 12
ROUNDS = 5

_SCROLL = """() => new Promise((resolve) => {
  document.documentElement.style.scrollBehavior = "auto";
  const times = [];
  const end = document.documentElement.scrollHeight - innerHeight;
  let last = performance.now();
  const next = (now) => {
    times.push(now - last);
    last = now;
    if (times.length > 240) return resolve(times.slice(1));
    scrollTo(0, end * (1 - Math.abs(1 - times.length / 120)));
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""


def main() -> None:
    """Run the measurements and print the figures."""
    parser = results.arguments(__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as parts,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900}, base_url=parts.url)
        batch = _send(page, parts, Path(folder) / "result.json")
        figures = {
            **_list(page, f"batch of {PICTURES}", batch),
            **_list(page, f"history of {BATCHES * PICTURES:,}", "/history"),
        }
        browser.close()
    if options.record:
        results.record("lists", "python -m benchmarks.lists", figures)


def _send(page: Page, parts: Parts, result: Path) -> str:
    """Send the pictures and have objects found in them; return the path of the last batch."""
    result.write_text(json.dumps(_found()))
    file = FilePayload(name="picture.jpg", mimeType="image/jpeg", buffer=picture())
    for _ in range(BATCHES):
        page.goto("/")
        page.set_input_files("#picture", [FilePayload({**file, "name": f"{i}.jpg"}) for i in range(PICTURES)])
        page.get_by_role("button", name="Detect objects").click(timeout=60_000)
        page.wait_for_url("**/batches/*", timeout=120_000)
        parts.work_off(result=result)
    return page.url.removeprefix(parts.url)


def _found() -> dict[str, Any]:
    random = np.random.default_rng(0)
    corners = random.integers(0, 40, (OBJECTS, 2))
    boxes = np.hstack([corners, corners + 8]).astype(np.float32)
    scores = random.uniform(0.4, 1, OBJECTS).astype(np.float32)
    found = Detections.from_unordered(
        boxes, scores, np.arange(OBJECTS), width=64, height=48, labels=COCO_LABELS, model="nanodet-g"
    )
    return found.to_json()


def _list(page: Page, what: str, path: str) -> results.Figures:
    """Print and return how a list answers."""
    seconds, size = [], 0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        size = len(page.request.get(path).body())
        seconds.append(time.perf_counter() - start)
    page.goto(path)
    page.wait_for_load_state("networkidle")
    times = page.evaluate(_SCROLL)
    p50, p95 = (float(ms) for ms in np.percentile(times, [50, 95]))
    answered = statistics.median(seconds) * 1000
    print(f"{what}: answered in {answered:.0f} ms, {size / 1000:.0f} kB")
    print(f"{what}: scrolled, median {p50:.1f} ms, 95% {p95:.1f} ms, longest {max(times):.1f} ms")
    return {
        what: {"answered": answered, "kilobytes": size / 1000},
        f"{what}, scrolled": {"p50": p50, "p95": p95},
    }


if __name__ == "__main__":
    main()
