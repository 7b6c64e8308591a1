"""Each way of taking a result away, and what is in the file that comes of it."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from flask_detector.formats import FORMATS

pytestmark = pytest.mark.slow

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@pytest.fixture
def result(open_page: Callable[..., Page], result_path: str) -> Page:
    """The page of a finished detection, without its weaker objects and its first class."""
    page = open_page(result_path)
    page.locator(".result-shapes").wait_for()
    page.get_by_role("slider", name="Minimum score").fill("45")
    page.locator(".result-classes li:visible").first.get_by_role("checkbox").uncheck()
    return page


def taken(page: Page, name: str) -> tuple[str, bytes]:
    """Return name and content of the file that a link of the menu brings."""
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name=name, exact=True).click()
    return downloading.value.suggested_filename, downloading.value.path().read_bytes()


def pixels(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize(("name", "format"), [("JPEG", "JPEG"), ("PNG", "PNG"), ("WebP", "WEBP")])
def test_the_drawn_picture_comes_in_each_format_with_what_is_switched_on(
    result: Page, pictures: Path, name: str, format: str
) -> None:
    _, drawn = taken(result, name)
    result.get_by_role("checkbox", name="Boxes").uncheck()
    result.get_by_role("checkbox", name="Labels").uncheck()
    filename, bare = taken(result, name)
    original = pixels((pictures / "apartment.jpg").read_bytes()).astype(int)
    assert Image.open(io.BytesIO(drawn)).format == format
    assert filename == f"detected_apartment.{format.lower().replace('jpeg', 'jpg')}"
    assert np.abs(pixels(bare) - original).mean() < 3, "nothing is drawn: only the compression differs"
    changed = np.abs(pixels(drawn).astype(int) - pixels(bare)).max(axis=2) > 60
    assert 0.001 < changed.mean() < 0.2
    # The frame of the best instance that is shown is drawn where its row says that it is.
    first = result.locator("[role=option]:visible .result-instance-facts").first.inner_text()
    x, y = (int(number) for number in first.split("at ")[1].split("\n")[0].split(" px")[0].split(",")[:2])
    assert changed[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5].any()


def test_the_data_come_in_each_format(result: Page) -> None:
    number = result.locator("[role=option]:visible").count()
    labels = set(result.locator("[role=option]:visible .result-instance-label").all_inner_texts())
    page = result
    for i, (name, form) in enumerate(FORMATS.items()):
        if i % 6 == 5:  # Chromium asks before it lets one page begin more than ten downloads
            page = result.context.new_page()
            page.goto(result.url)
            page.locator(".result-shapes").wait_for()
        filename, data = taken(page, form.title)
        assert filename == f"apartment{form.suffix}", name
        assert data, name
    form = json.loads(taken(page, "JSON")[1])
    assert {instance["label"] for instance in form["instances"]} == labels
    assert len(form["instances"]) == number
    coco = json.loads(taken(page, "COCO dataset, RLE")[1])
    assert len(coco["annotations"]) == number
    assert len(taken(page, "CSV")[1].splitlines()) == number + 1


def test_everything_comes_in_one_file(result: Page) -> None:
    filename, data = taken(result, "Everything in one ZIP")
    assert filename == "detected_apartment.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {"detected_apartment.jpg", "apartment.jpg", "json/apartment.json"} < set(archive.namelist())
        form = json.loads(archive.read("json/apartment.json"))
    assert len(form["instances"]) == result.locator("[role=option]:visible").count()


def test_an_outlined_object_is_cut_out_along_its_mask(open_page: Callable[..., Page], crowd_url: str) -> None:
    page = open_page(crowd_url)
    row = page.locator("[role=option]").nth(2)
    row.click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download crop as PNG").click()
    with Image.open(downloading.value.path()) as cut:
        assert (cut.format, cut.mode) == ("PNG", "RGBA")
        alpha = np.asarray(cut)[:, :, 3]
    area = int(row.locator(".result-instance-area").inner_text().removesuffix(" px").replace(",", ""))
    assert set(np.unique(alpha)) == {0, 255}
    assert (alpha == 255).sum() == area


def test_a_batch_is_taken_away_as_a_data_set(open_page: Callable[..., Page], pictures: Path) -> None:
    page = open_page()
    page.set_input_files("#picture", [pictures / "apartment.jpg", pictures / "park.jpg"])
    page.get_by_role("button", name="Detect objects").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 pictures")
    page.get_by_text("Download all").click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="YOLO", exact=True).click()
    with zipfile.ZipFile(downloading.value.path()) as archive:
        names = archive.namelist()
    assert {name.rpartition("/")[2] for name in names} > {"apartment.jpg", "apartment.txt", "park.jpg"}
