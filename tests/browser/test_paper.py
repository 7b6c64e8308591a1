"""The result on paper, and as an image that somebody saves: the picture as the server draws it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]


def test_paper_has_the_drawn_picture_as_it_is_shown_and_its_list_on_one_page(
    open_page: OpenPage, result_path: str, tmp_path: Path
) -> None:
    page = open_page(result_path)
    page.locator(".result-shapes").wait_for()
    first = page.locator(".result-classes li:visible").first
    label = first.get_attribute("data-label") or ""
    first.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="Zoom in").click()
    shown = page.locator("[role=option]:visible").count()
    with page.expect_response(lambda response: "/drawn" in response.url) as drawing:
        paper = page.pdf(path=tmp_path / "paper.pdf", format="A4")
    assert drawing.value.url.endswith(f"/drawn?off={label.replace(' ', '+')}")
    width, height = page.locator("#result").evaluate("page => [page.dataset.width, page.dataset.height]")
    images = re.findall(rb"/Subtype /Image.*?/Width (\d+)\s*/Height (\d+)", paper, re.DOTALL)
    assert images == [(width.encode(), height.encode())], "once, and at full size"
    assert len(re.findall(rb"/Type /Page\b", paper)) == 1

    page.emulate_media(media="print")
    expect(page.locator(".result-frame > :visible")).to_have_count(1)
    picture = page.locator(".result-drawn").bounding_box()
    assert picture is not None
    assert picture["width"] / picture["height"] == pytest.approx(int(width) / int(height), abs=0.01)
    expect(page.locator("[role=option]:visible")).to_have_count(shown)
    expect(
        page.locator("button:visible, input:visible, nav:visible, footer:visible, a:visible")
    ).to_have_count(0)


def test_saving_the_image_saves_the_drawn_picture(open_page: OpenPage, result_path: str) -> None:
    page = open_page(result_path)
    page.locator(".result-shapes").wait_for()
    assert _what_lies_on_top(page) != "result-drawn"
    page.locator(".result-frame").click(button="right", position={"x": 100, "y": 100})
    assert _what_lies_on_top(page) == "result-drawn"
    page.locator(".result-frame").hover(position={"x": 120, "y": 100})
    assert _what_lies_on_top(page) != "result-drawn"


def _what_lies_on_top(page: Page) -> str:
    """Return the class of what the browser's own menu would be about."""
    name: str = page.locator(".result-frame").evaluate(
        "frame => { const { x, y } = frame.getBoundingClientRect();"
        " return document.elementFromPoint(x + 100, y + 100).getAttribute('class') }"
    )
    return name
