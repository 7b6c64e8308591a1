"""The overlay's masks, screenshot by screenshot the same as the drawn picture's."""

import io
import json
import math
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap, Mask

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Page]
# Where a mask lies, and its bitmap.
Placed = tuple[int, int, Bitmap]

ONLY_MASKS = "hide=boxes&hide=labels"
LARGE = (4000, 3000)
SEEN = 40  # of 255, over a black picture


def _solid(width: int, height: int) -> Bitmap:
    return np.ones((height, width), bool)


def _ring(side: int, thickness: int) -> Bitmap:
    ring = _solid(side, side)
    ring[thickness:-thickness, thickness:-thickness] = False
    return ring


def _ragged(width: int, height: int) -> Bitmap:
    """Return a blob with a border as a network draws it, thin arms and loose pixels."""
    rng = np.random.default_rng(5)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    angle = np.arctan2(y, x)
    blob: Bitmap = np.hypot(x, y) < 0.6 + 0.3 * np.sin(angle * 7) + rng.normal(0, 0.02, (height, width))
    blob[rng.random((height, width)) < 0.001] ^= True
    return blob


POLES = [(100 + 200 * i + i, 50 + i, _solid(6, 2800)) for i in range(12)]
SMALL = [
    (11, 7, _solid(1, 1)),
    (40, 30, _solid(2, 2)),
    (81, 31, _solid(2, 2)),
    (120, 20, np.eye(60, dtype=bool)),
    (200, 20, np.eye(60, dtype=bool)[::-1]),
    (300, 40, _ring(9, 1)),
    (330, 40, _ring(41, 5)),
    (400, 40, np.indices((40, 40)).sum(axis=0) % 2 == 0),
    (0, 150, _solid(800, 1)),
    (799, 150, _solid(1, 800)),
    (5, 200, _ragged(300, 260)),
    (500, 999, _solid(20, 1)),
]

CASES: dict[str, tuple[tuple[int, int], list[Placed]]] = {
    "small and thin ones": (LARGE, [*SMALL, *POLES, (3999, 2999, _solid(1, 1))]),
    "a large ragged one": (LARGE, [(333, 222, _ragged(3201, 2505))]),
    "a picture one pixel wide": ((1, 1000), [(0, 10, _solid(1, 5)), (0, 700, _solid(1, 300))]),
    "a picture one pixel high": ((1000, 1), [(10, 0, _solid(5, 1)), (700, 0, _solid(300, 1))]),
}


def _found(size: tuple[int, int], placed: list[Placed]) -> Detections:
    masks = tuple(Mask.from_bitmap(bitmap, x=x, y=y) for x, y, bitmap in placed)
    return Detections(
        width=size[0],
        height=size[1],
        boxes=np.array([[m.x, m.y, m.x + m.width, m.y + m.height] for m in masks], np.float32).reshape(-1, 4),
        scores=np.linspace(0.99, 0.6, len(masks), dtype=np.float32),
        class_ids=np.zeros(len(masks), np.int64),
        labels=COCO_LABELS,
        model="crowd",
        masks=masks,
    )


@pytest.fixture
def shown(idle_parts: Any, open_page: OpenPage, tmp_path: Path) -> Callable[..., Page]:
    """A function that opens the page of a black picture in which these masks were found."""

    def show(found: Detections, query: str = ONLY_MASKS, **options: Any) -> Page:
        file = io.BytesIO()
        Image.new("RGB", (found.width, found.height)).save(file, "PNG")
        result = tmp_path / "result.json"
        result.write_text(json.dumps(found.to_json()))
        address = idle_parts.send(file.getvalue())
        idle_parts.work_off(result=result)
        page = open_page(f"{address}?{query}", **{"viewport": {"width": 1280, "height": 900}, **options})
        page.locator(".result-shapes").wait_for()
        return page

    return show


def _drawn(page: Page) -> Bitmap:
    """Return which pixels of the drawn picture are not the picture's."""
    with urllib.request.urlopen(page.url.replace("?", "/download?format=png&"), timeout=30) as answer:
        seen: Bitmap = np.asarray(Image.open(answer).convert("RGB")).max(axis=2) > 0
    return seen


def _zoom_to(page: Page, x: float, y: float, pixel_size: float) -> None:
    """Turn the wheel over a point of the picture until its pixels are of that size."""
    page.evaluate(
        """([x, y, size]) => {
          const frame = document.querySelector(".result-frame");
          const { left, top, width, height } = frame.getBoundingClientRect();
          const image = frame.querySelector(".result-picture").getBoundingClientRect();
          const now = image.width / frame.querySelector(".result-picture").width;
          const event = (at) => new WheelEvent("wheel", { deltaY: -Math.log(at) / 0.0088, ctrlKey: true,
            clientX: image.left + x * now, clientY: image.top + y * now, bubbles: true, cancelable: true });
          frame.dispatchEvent(event(size / now));
        }""",
        [x, y, pixel_size],
    )


def _compare(page: Page, drawn: Bitmap) -> tuple[int, int]:
    """Return how many screen pixels of either are farther than one from all of the other."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    frame = page.locator(".result-frame")
    box, view = frame.bounding_box(), page.locator(".result-shapes").get_attribute("viewBox")
    assert box is not None
    assert view is not None
    left, top, width, height = map(float, view.split())
    frame.evaluate(
        "frame => Object.assign(frame.style, { background: 'black', borderRadius: 0, outline: 'none' })"
    )
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    x, y = math.ceil(box["x"]), math.ceil(box["y"])  # the frame begins within a pixel of the screen
    overlay = picture[y : y + math.floor(box["height"]), x : x + math.floor(box["width"])].max(axis=2) > SEEN
    rows = top + (np.arange(overlay.shape[0]) + y + 0.5 - box["y"]) * height / box["height"]
    columns = left + (np.arange(overlay.shape[1]) + x + 0.5 - box["x"]) * width / box["width"]
    is_row, is_column = (rows >= 0) & (rows < drawn.shape[0]), (columns >= 0) & (columns < drawn.shape[1])
    expected = np.zeros_like(overlay)
    expected[np.ix_(is_row, is_column)] = drawn[
        np.ix_(rows[is_row].astype(int), columns[is_column].astype(int))
    ]
    # What is beside the last pixels can't be seen.
    apart = (overlay & ~_grown(expected))[1:-1, 1:-1], (expected & ~_grown(overlay))[1:-1, 1:-1]
    return int(apart[0].sum()), int(apart[1].sum())


def _grown(bitmap: Bitmap) -> Bitmap:
    padded = np.pad(bitmap, 1)
    height, width = bitmap.shape
    grown: Bitmap = np.logical_or.reduce(
        [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    )
    return grown


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_masks_are_the_drawn_pictures_to_the_pixel(shown: Callable[..., Page], name: str) -> None:
    size, placed = CASES[name]
    page = shown(_found(size, placed))
    drawn = _drawn(page)
    assert all(
        path
        for path in page.locator(".result-mask").evaluate_all("all => all.map(one => one.getAttribute('d'))")
    )
    assert _compare(page, drawn)[1] == 0, "from afar something is lost"
    for pixel_size in (1, 3):
        for x, y, bitmap in placed[:: max(1, len(placed) // 4)]:
            page.get_by_role("button", name="Fit to window").click()
            _zoom_to(page, x, y + bitmap.shape[0] / 2, pixel_size)
            assert _compare(page, drawn) == (0, 0), (x, y, pixel_size)


def _click(page: Page, x: float, y: float) -> None:
    """Click at a point of the picture."""
    image = page.locator(".result-frame .result-picture").bounding_box()
    assert image is not None
    size = image["width"] / LARGE[0]
    page.mouse.click(image["x"] + x * size, image["y"] + y * size)


def test_a_thin_object_can_be_chosen_whatever_lies_around_it(shown: Callable[..., Page]) -> None:
    diagonal, pole = np.eye(2000, dtype=bool), _solid(2, 2800)
    around = [(50, 50, _solid(3900, 2900)), (500, 500, diagonal), (1300, 1300, _solid(400, 400))]
    page = shown(_found(LARGE, [*around, (3000, 90, pole)]), "")
    for x, y, index in ((3003, 700, "3"), (1500, 1501, "1"), (1650, 1350, "2"), (200, 2000, "0")):
        _click(page, x, y)
        expect(page.locator(".result-shape.lit")).to_have_attribute("data-index", index)


def test_a_box_too_small_to_see_is_drawn_and_can_be_chosen(shown: Callable[..., Page]) -> None:
    corners = np.array([[1000, 1000], [2000, 1000], [4000, 1500]], np.float32)
    boxes = np.hstack([corners, corners])
    boxes[0, 2:] += 1  # the others are points
    found = replace(_found(LARGE, [(0, 0, _solid(1, 1))] * 3), boxes=boxes, masks=None)
    page = shown(found, "hide=labels")
    page.evaluate("document.querySelector('.result-frame').style.background = 'black'")
    frame = Image.open(io.BytesIO(page.locator(".result-frame").screenshot())).convert("RGB")
    rows, columns = np.nonzero(np.asarray(frame).max(axis=2) > SEEN)
    for x, y in corners * frame.width / LARGE[0]:
        assert ((np.abs(columns - x) < 4) & (np.abs(rows - y) < 4)).sum() >= 2
    for index, (x, y) in enumerate(corners.tolist()):
        _click(page, min(x + 10, 3995), y + 10)
        expect(page.locator(".result-shape.lit")).to_have_attribute("data-index", str(index))


def test_an_object_whose_mask_is_empty_has_a_box_on_the_page_and_is_cut_out_by_it(
    shown: Callable[..., Page],
) -> None:
    boxes = np.array([[10.5, 20.5, 14, 30], [640, 480, 640, 480]], np.float32)
    empty = Mask.from_bitmap(np.zeros((0, 0), bool))
    found = replace(_found((640, 480), [(0, 0, _solid(1, 1))] * 2), boxes=boxes, masks=(empty, empty))
    page = shown(found, "")
    expect(page.locator(".result-shape:not([hidden]) .result-outline")).to_have_count(2)
    expect(page.locator(".result-mask[d]:not([d=''])")).to_have_count(0)
    for number, size in enumerate([(4, 10), (1, 1)]):
        address = page.url.partition("?")[0] + f"/instances/{number}.png"
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert Image.open(answer).size == size
