"""What a visitor keeps, shares and deletes, and what others see of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.stack import Stack

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Page]

_STRANGER: dict[str, Any] = {"storage_state": {"cookies": [], "origins": []}}


@pytest.fixture
def own_page(open_page: OpenPage) -> Page:
    """The front page in a browser that has sent nothing yet."""
    return open_page(**_STRANGER)


def test_several_pictures_have_one_page_and_what_is_no_picture_is_named(
    own_page: Page, pictures: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("This is not a picture.")
    own_page.set_input_files("#picture", [pictures / "apartment.jpg", text, pictures / "park.jpg"])
    expect(own_page.locator(".home-chosen li")).to_have_count(2)
    expect(own_page.get_by_role("alert")).to_contain_text("notes.txt: The file is not a picture")
    own_page.get_by_role("button", name="Detect objects").click()
    expect(own_page.get_by_role("heading", level=1)).to_have_text("2 pictures")
    expect(own_page.locator(".record", has_text="apartment.jpg")).to_contain_text("chair")
    own_page.get_by_role("link", name="History").click()
    expect(own_page.locator(".record")).to_have_count(1)
    own_page.get_by_label("Object").select_option("chair")
    own_page.get_by_role("button", name="Search").click()
    expect(own_page.locator(".record-name")).to_have_text("apartment.jpg")
    own_page.get_by_role("link", name="Show all").click()
    own_page.get_by_label("All 2").check()
    own_page.locator("#selection").get_by_role("button", name="Delete").click()
    expect(own_page.get_by_text("No pictures yet.")).to_be_visible()


def test_a_link_shows_a_stranger_the_senders_view_until_it_is_withdrawn(
    own_page: Page,
    open_page: OpenPage,
    complaints: list[str],
    send: Callable[[Page, Path], None],
    pictures: Path,
) -> None:
    send(own_page, pictures / "apartment.jpg")
    own_page.get_by_role("button", name="Make a link").click()
    own_page.locator(".result-shapes").wait_for()
    own_page.get_by_role("slider").fill("60")
    link = own_page.get_by_role("textbox", name="Link").input_value()
    stranger = open_page(link, **_STRANGER)
    stranger.locator(".result-shapes").wait_for()
    assert (
        stranger.locator("[role=option]:visible").count() == own_page.locator("[role=option]:visible").count()
    )
    expect(stranger.get_by_role("button", name="Delete now")).to_have_count(0)
    own_page.get_by_role("button", name="Stop sharing").click()
    expect(own_page.get_by_role("button", name="Make a link")).to_be_visible()
    stranger.reload()
    expect(stranger.get_by_role("heading", level=1)).to_contain_text("no longer shared")
    stranger.goto(own_page.url)
    expect(stranger.get_by_role("heading", level=1)).to_have_text("There is no such detection.")
    assert [text for text in complaints if "404" not in text] == []
    complaints.clear()


def test_a_chosen_instance_is_described_and_can_be_cut_out(open_page: OpenPage, result_path: str) -> None:
    page = open_page(result_path)
    page.locator("[role=option]:visible").nth(1).click()
    expect(page.locator(".result-picked")).to_contain_text("pixels at")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download crop as PNG").click()
    assert downloading.value.suggested_filename.endswith("_2.png")


def test_the_list_can_be_ordered_by_place(open_page: OpenPage, result_path: str) -> None:
    page = open_page(result_path)
    page.locator(".result-shapes").wait_for()
    by_score = page.locator("[role=option]:visible").all_inner_texts()
    page.get_by_label("Sort objects").select_option("left to right")
    by_place = page.locator("[role=option]:visible").all_inner_texts()
    assert by_place != by_score
    assert sorted(by_place) == sorted(by_score)
    page.locator("[role=option]:visible").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[role=option]:visible").nth(1)).to_be_focused()


def test_the_drawn_picture_the_data_and_a_link_to_what_is_shown_can_be_copied(
    browser: Browser, stack: Stack, pictures: Path
) -> None:
    context = browser.new_context(base_url=stack.url, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto("/")
    page.set_input_files("#picture", pictures / "apartment.jpg")
    page.get_by_role("button", name="Detect objects").click()
    page.locator(".result-shapes").wait_for()
    for name, kind in (("annotated picture", "image/png"), ("JSON", "text/plain")):
        page.get_by_text("Export", exact=True).click()
        page.get_by_role("button", name=name).click()
        expect(page.locator("#said")).to_have_text("Copied")
        types = page.evaluate("navigator.clipboard.read().then((items) => items[0].types)")
        assert kind in types
        page.keyboard.press("Escape")
    page.get_by_role("slider", name="Minimum score").fill("60")
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.get_by_role("textbox", name="Link").input_value()
    assert link.endswith("?score=0.6")
    assert page.evaluate("navigator.clipboard.readText()") == link
    context.close()
