"""How fast the pages are, in headless Chromium: the figures that they are held to.

Starts a Redis, a web process and, for a picture of 24 megapixels with 100 outlined objects, the worker of
crowd.py. Prints

- the bytes of the first page with all its assets, as they come over the line;
- when the first page can be used on a line of 1.6 Mbit/s, without and with a latency of 150 ms a round trip;
- what moving the score slider costs the page's own thread, until style and layout are done, and the time
  between two frames while it moves;
- the time between two frames while the picture is zoomed and moved.

    python -m benchmarks.pages [--chromium PATH]

Headless Chromium draws without a graphics processor: frames are dearer here than on a desk.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLong

from benchmarks import results
from flask_detector.broker.local_server import LocalRedis
from flask_detector.settings import Settings
from tests.support.parts import Parts
from tests.support.pictures import encoded
from tests.support.ports import free_port
from tests.support.stack import environment_of

ROUNDS = 5
LINE = {"offline": False, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}

# Usable: the script has taken the form over, so that pictures can be dropped and chosen.
_USABLE = "#upload[data-state=empty]"

# Noted in the page itself: Playwright looks for an element at growing intervals, of half a second in the end.
_NOTE_WHEN_USABLE = f"""new MutationObserver((_, observer) => {{
  if (document.querySelector("{_USABLE}")) {{
    window.usableAfter = performance.now();
    observer.disconnect();
  }}
}}).observe(document, {{ subtree: true, childList: true, attributes: true }})"""

_FRAMES = """(moves, move) => new Promise((resolve) => {
  const times = [];
  let last = performance.now();
  const next = (now) => {
    times.push(now - last);
    last = now;
    if (times.length > moves) return resolve(times.slice(1));
    move(times.length);
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""

_SLIDER = f"""async () => {{
  const slider = document.querySelector("#score");
  const set = (i) => {{
    slider.value = 50 + (i * 7) % 49;
    slider.dispatchEvent(new Event("input", {{ bubbles: true }}));
  }};
  const work = [];
  for (let i = 0; i < 120; i++) {{
    const start = performance.now();
    set(i);
    document.body.getBoundingClientRect();
    work.push(performance.now() - start);
    await new Promise(requestAnimationFrame);
  }}
  return {{ work, frames: await ({_FRAMES})(120, set) }};
}}"""

_ZOOM = f"""async () => {{
  const frame = document.querySelector(".result-frame");
  frame.focus();
  const wheel = (i) => frame.dispatchEvent(new WheelEvent("wheel", {{
    deltaY: i % 80 < 40 ? -25 : 25, ctrlKey: true, clientX: 400 + i, clientY: 300,
    bubbles: true, cancelable: true,
  }}));
  return ({_FRAMES})(160, wheel);
}}"""

_PAN = f"""async () => {{
  const frame = document.querySelector(".result-frame");
  for (let i = 0; i < 4; i++) document.querySelector("[name=in]").click();
  const keys = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"];
  const press = (i) => frame.dispatchEvent(new KeyboardEvent("keydown", {{
    key: keys[Math.floor(i / 40) % 4], bubbles: true, cancelable: true,
  }}));
  return ({_FRAMES})(160, press);
}}"""


def main() -> None:
    """Run the measurements and print the figures."""
    parser = results.arguments(__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as parts:
        page = parts.send(large_picture())
        parts.work_off()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            figures = {**first_page(browser, parts.url), **result_page(browser, page)}
            browser.close()
    if options.record:
        results.record("pages", "python -m benchmarks.pages", figures)


def first_page(browser: Browser, url: str) -> results.Figures:
    """Print and return size and time of the front page, loaded by a browser that has nothing of it yet."""
    size, requests, _ = load(browser, url, latency=0, throttled=False)
    print(f"first page: {size / 1000:.1f} kB in {requests} requests")
    figures: dict[str, float] = {"bytes": size, "requests": requests}
    for latency in (0, 150):
        seconds = statistics.median(patiently(browser, url, latency=latency) for _ in range(ROUNDS))
        print(f"usable at 1.6 Mbit/s, {latency} ms: {seconds:.2f} s (median of {ROUNDS})")
        figures[f"usable_after_{latency}_ms"] = seconds
    return {"first page": figures}


def patiently(browser: Browser, url: str, *, latency: int) -> float:
    """Return the seconds until the page can be used on a slow line.

    Chromium's emulation of one leaves a request lying for good now and then; that load is done again.
    """
    for _ in range(3):
        try:
            return load(browser, url, latency=latency, throttled=True)[2]
        except TookTooLong:
            print("a request got stuck in Chromium's slow line; once more")
    raise SystemExit("the first page can't be loaded over Chromium's slow line")


def load(browser: Browser, url: str, *, latency: int, throttled: bool) -> tuple[int, int, float]:
    """Return the bytes received, the number of answers, and the seconds until the page can be used."""
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    session.send("Network.enable")
    if throttled:
        session.send("Network.emulateNetworkConditions", {**LINE, "latency": latency})
    page.add_init_script(_NOTE_WHEN_USABLE)
    page.goto(url, wait_until="commit")
    page.locator(_USABLE).wait_for(timeout=10_000)
    usable = page.evaluate("usableAfter") / 1000
    page.wait_for_load_state("networkidle")
    context.close()
    return round(sum(sizes)), len(sizes), usable


def result_page(browser: Browser, url: str) -> results.Figures:
    """Print and return how the page of a large picture with a hundred objects answers to the hand."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    start = time.perf_counter()
    page.goto(url)
    page.locator(".result-shapes").wait_for()
    ready = time.perf_counter() - start
    shown = page.locator(".result-shape:not([hidden])").count()
    print(f"result page: {shown} objects over 24 megapixels are there after {ready:.2f} s")
    page.wait_for_timeout(2000)
    slider = page.evaluate(_SLIDER)
    times = {
        "slider, own work": slider["work"],
        "slider, frames": slider["frames"],
        "zoom, frames": page.evaluate(_ZOOM),
        "move, frames": page.evaluate(_PAN),
    }
    page.close()
    figures: results.Figures = {}
    for what, milliseconds in times.items():
        p50, p95 = (float(ms) for ms in np.percentile(milliseconds, [50, 95]))
        print(f"{what:20} median {p50:5.1f} ms, 95% {p95:5.1f} ms, longest {max(milliseconds):5.1f} ms")
        figures[what] = {"p50": p50, "p95": p95}
    return figures


@contextmanager
def served(folder: Path) -> Iterator[Parts]:
    """Run a Redis and a web process until the block ends."""
    server = LocalRedis(folder / "redis")
    settings = Settings(data_dir=folder, redis_url=server.url, port=free_port())
    parts = Parts(f"http://127.0.0.1:{settings.port}", environment_of(settings), server, {})
    try:
        parts.start_redis()
        parts.start_web()
        yield parts
    finally:
        parts.end()


def large_picture() -> bytes:
    """Return a picture of 24 megapixels."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    return encoded(Image.fromarray(noise).resize((6000, 4000), Image.Resampling.BICUBIC), quality=85)


if __name__ == "__main__":
    main()
