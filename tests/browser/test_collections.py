"""Collections in a real browser: keeping, going through them at the keyboard, sharing."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.datasets import zipped

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def collection_path(usual_context: BrowserContext, batch_url: str) -> str:
    """The path of a collection of three pictures, one of them verified, parted for training and shared."""
    page = usual_context.new_page()
    page.goto(batch_url)
    page.locator(".keep > summary").click()
    page.get_by_role("textbox", name="new").fill("Füchse & 狐")
    page.keyboard.press("Enter")
    page.locator(".keep-note").get_by_role("link").click()
    path = urlsplit(page.url).path
    page.locator(".record > a").first.click()
    page.locator(".editor-objects > *").first.wait_for()
    with page.expect_response(lambda response: response.request.method == "PUT"):
        page.keyboard.press("Space")
    page.goto(path)
    page.get_by_text("Split for training").click()
    page.get_by_role("button", name="Split").click()
    page.get_by_text("Validation").first.wait_for()
    page.locator("#share > summary").click()
    page.get_by_role("button", name="Make a link").first.click()
    page.get_by_role("textbox", name="Link to look at it").wait_for()
    page.close()
    return path


def test_pictures_are_gone_through_and_verified_at_the_keyboard(
    open_page: Callable[..., Page], collection_path: str
) -> None:
    page = open_page(f"{collection_path}?state=unseen")
    cards = page.locator(".collected")
    number = cards.count()
    page.get_by_role("link", name="Correct", exact=True).click()
    page.locator(".editor-objects > *").first.wait_for()
    with page.expect_response(lambda response: response.request.method == "PUT"):
        page.keyboard.press("Space")
    first = urlsplit(page.url).path
    page.keyboard.press("d")
    page.wait_for_url(lambda url: urlsplit(url).path != first)
    page.locator(".editor-objects > *").first.wait_for()
    page.get_by_role("button", name="Done").click()
    expect(cards).to_have_count(number - 1)
    expect(page).to_have_url(re.compile("state=unseen"))


def test_who_has_a_link_looks_at_it_and_takes_it_away_but_changes_nothing(
    open_page: Callable[..., Page], collection_path: str, browser: Browser, complaints: list[str]
) -> None:
    page = open_page(collection_path)
    link = page.get_by_role("textbox", name="Link to look at it").input_value()
    context = browser.new_context()
    try:
        other = context.new_page()
        other.goto(link)
        expect(other.get_by_text("Shared with you to look at")).to_be_visible()
        expect(other.get_by_role("button", name="Delete")).to_have_count(0)
        other.locator(".record > a").first.click()
        other.locator(".editor-objects > *").first.wait_for()
        expect(other.get_by_text("View only")).to_be_visible()
        expect(other.get_by_role("button", name="Box")).to_have_count(0)
        other.get_by_role("button", name="Done").click()
        other.get_by_text("Download").click()
        with other.expect_download() as downloading:
            other.get_by_role("link", name="YOLO", exact=True).click()
        names = zipfile.ZipFile(downloading.value.path()).namelist()
        assert {name.rpartition("/")[0] for name in names} >= {"images/train", "images/val"}
    finally:
        context.close()


def test_a_picture_is_kept_with_what_the_slider_shows_and_said_where(
    open_page: Callable[..., Page], result_path: str
) -> None:
    page = open_page(result_path)
    page.locator(".result-shapes").wait_for()
    page.get_by_role("slider", name="Minimum score").fill("60")
    page.wait_for_url("**?score=0.6")
    shown = int(page.locator("#headline").inner_text().split()[0])
    page.locator(".keep > summary").click()
    page.get_by_role("textbox", name="new").fill("Über 60 %")
    page.keyboard.press("Enter")
    page.locator(".keep-note").get_by_role("link", name="Über 60 %").click()
    assert int(page.locator(".record-number").inner_text()) == shown
    page.go_back()
    page.locator(".result-shapes").wait_for()
    page.locator(".keep > summary").click()
    page.get_by_role("button", name="Über 60 %").click()
    expect(page.locator(".keep-note")).to_have_text("Kept in Über 60 % (it was there already).")


def test_it_works_without_scripts(open_page: Callable[..., Page], result_path: str) -> None:
    page = open_page(result_path, java_script_enabled=False)
    page.locator(".keep > summary").click()
    page.get_by_label("new").fill("Ohne Skripte")
    page.get_by_label("new").press("Enter")
    expect(page.get_by_role("heading", name="Ohne Skripte")).to_be_visible()
    page.locator(".record > a").first.click()
    expect(page.locator(".collected-picture")).to_be_visible()


def test_pictures_are_added_selected_deleted_and_there_again_without_leaving_the_page(
    open_page: Callable[..., Page], pictures: Path
) -> None:
    page = open_page("/collections")
    page.get_by_role("textbox", name="Name").fill("Added")
    page.get_by_role("button", name="Create").click()
    cards = page.locator(".collected")
    page.get_by_label("Pictures", exact=True).set_input_files([pictures / "zoo.jpg", pictures / "park.jpg"])
    page.get_by_role("button", name="Add", exact=True).click()
    expect(cards).to_have_count(2)
    page.evaluate("window.isSamePage = true")
    page.get_by_role("checkbox", name="Select zoo.jpg").check()
    page.locator(".selection").get_by_role("button", name="Delete").click()
    expect(cards).to_have_count(1)
    page.get_by_role("button", name="Undo deleting zoo.jpg").click()
    expect(cards).to_have_count(2)
    assert page.evaluate("window.isSamePage")
    page.locator(".record > a").first.click()
    frame = page.locator("dialog.editor[data-ready] .editor-frame").bounding_box()
    assert frame is not None
    page.keyboard.press("w")
    page.mouse.move(frame["x"] + frame["width"] * 0.4, frame["y"] + frame["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.6, frame["y"] + frame["height"] * 0.6)
    page.mouse.up()
    page.keyboard.type("first class")
    page.keyboard.press("Enter")
    page.keyboard.press("?")
    page.keyboard.press("Escape")
    expect(page.locator(".editor-help")).to_be_hidden()
    page.locator(".editor-status[data-state=saved]").wait_for()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("1 first class")).to_be_visible()
    page.locator(".selection-all input").check()
    page.locator(".selection").get_by_text("Copy").first.click()
    page.get_by_role("textbox", name="new").fill("Moved")
    page.get_by_role("checkbox", name="and take them out of this one").check()
    page.keyboard.press("Enter")
    expect(cards).to_have_count(0)
    page.goto("/collections")
    page.get_by_role("link", name="Moved").click()
    expect(cards).to_have_count(2)


def test_an_import_shows_its_progress_until_it_is_done(
    open_page: Callable[..., Page], pictures: Path, tmp_path: Path
) -> None:
    files = {f"{n}.jpg": (pictures / "zoo.jpg").read_bytes() + bytes([n]) for n in range(20)}
    files |= {f"{n}.txt": b"0 0.5 0.5 0.2 0.2" for n in range(20)}
    page = open_page("/collections")
    page.get_by_role("textbox", name="Name").fill("Imported")
    page.get_by_role("button", name="Create").click()
    path = urlsplit(page.url).path
    page.get_by_label("ZIP with pictures").set_input_files(zipped(tmp_path / "set.zip", files))
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/imports")
    expect(page.get_by_role("heading", name="Imported set.zip")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("20 pictures imported")).to_be_visible()
    page.goto(path)
    expect(page.locator(".collected")).to_have_count(20)
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#import")).to_have_count(0)
