"""The history in a real browser: searching, selecting, deleting in place and undoing that."""

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.parts import Parts

pytestmark = pytest.mark.slow

NAMES = ("park.jpg", "street.jpg", "apartment.jpg", "zoo.jpg")
STRANGER: dict[str, list[str]] = {"cookies": [], "origins": []}


@pytest.fixture
def own(open_page: Callable[..., Page], pictures: Path, tmp_path: Path) -> Callable[..., Page]:
    """A function that opens a history of a batch of three and one picture with a long name of its own."""

    def own(**options: object) -> Page:
        page = open_page(storage_state=STRANGER)
        page.set_input_files("#picture", [pictures / name for name in NAMES[:3]])
        page.get_by_role("button", name="Detect objects").click()
        page.locator("#records:not([data-changing])").wait_for()
        alone = tmp_path / ("写真 длинное имя" * 5 + ".jpg")
        alone.write_bytes((pictures / NAMES[3]).read_bytes())
        page.goto("/")
        page.set_input_files("#picture", alone)
        page.get_by_role("button", name="Detect objects").click()
        page.locator(".result-shapes").wait_for()
        state = page.context.storage_state()
        return open_page("/history", storage_state=state, **options)

    return own


def test_a_deletion_leaves_the_page_and_the_selection_where_they_are_and_can_be_undone(
    own: Callable[..., Page],
) -> None:
    page = own(viewport={"width": 390, "height": 500})
    names = page.locator(".record-name").all_inner_texts()
    page.evaluate("window.stays = true")
    delete = page.get_by_role("button", name="Delete 写真")
    delete.scroll_into_view_if_needed()
    place = page.evaluate("scrollY")
    assert place > 100
    delete.click()
    undo = page.get_by_role("button", name="Undo deleting 写真")
    expect(undo).to_be_focused()
    expect(page.locator(".record")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".record-name")).to_have_text(names)
    expect(undo).to_have_count(0)
    assert page.evaluate("window.stays"), "the page was left"
    assert page.evaluate("scrollY") == place
    page.reload()
    expect(page.locator(".record-name")).to_have_text(names)


def test_several_are_selected_exported_and_deleted(own: Callable[..., Page]) -> None:
    page = own()
    bar = page.locator("#selection")
    expect(bar.get_by_role("button", name="Delete")).to_be_hidden()
    page.get_by_role("checkbox", name="Select park.jpg and 2 more").check()
    bar.get_by_text("Export").click()
    bar.get_by_label("Minimum score").select_option("60%")
    with page.expect_download() as downloading:
        bar.get_by_role("button", name="CSV").click()
    archive = zipfile.ZipFile(downloading.value.path())
    rows = list(csv.DictReader(io.StringIO(archive.read("detections.csv").decode())))
    assert {row["file"] for row in rows} <= set(NAMES[:3])
    assert min(float(row["score"]) for row in rows) >= 0.6
    page.keyboard.press("Escape")
    bar.get_by_role("button", name="Delete").click()
    expect(page.locator(".record")).to_have_count(1)
    expect(page.locator("#undo")).to_contain_text("park.jpg and 2 more deleted")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".record")).to_have_count(2)


def test_what_is_selected_stays_so_while_the_page_refreshes_itself(
    open_page: Callable[..., Page], idle_parts: Parts, pictures: Path
) -> None:
    page = open_page(idle_parts.url)
    other = page.context.new_page()
    other.goto(idle_parts.url)
    other.set_input_files("#picture", pictures / NAMES[0])
    other.get_by_role("button", name="Detect objects").click()
    other.wait_for_url("**/detections/*")
    page.goto(f"{idle_parts.url}/history")
    page.get_by_role("checkbox", name="Select park.jpg").check()
    page.get_by_role("searchbox").focus()
    other.goto(idle_parts.url)
    other.set_input_files("#picture", pictures / NAMES[1])
    other.get_by_role("button", name="Detect objects").click()
    other.wait_for_url("**/detections/*")
    expect(page.locator(".record-name")).to_have_text(["street.jpg", "park.jpg"])
    expect(page.get_by_role("checkbox", name="Select park.jpg")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Select street.jpg")).not_to_be_checked()
    other.close()


def test_what_was_deleted_in_another_tab_leads_back_and_is_undone_there(
    own: Callable[..., Page], complaints: list[str]
) -> None:
    page = own()
    other, stale = page.context.new_page(), page.context.new_page()
    other.goto(page.url)
    stale.goto(page.url)
    other.get_by_role("button", name="Delete 写真").click()
    expect(other.locator(".record")).to_have_count(1)
    page.locator(".record > a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("deleted")
    complaints.clear()  # the browser notes each answer that is an error
    page.get_by_role("button", name="Undo").click()
    page.locator(".result-shapes").wait_for()
    other.get_by_role("button", name="Delete park.jpg").click()
    expect(other.locator(".record-name")).to_contain_text(["写真"])
    stale.get_by_role("button", name="Delete park.jpg").click()
    expect(stale.locator(".record-name")).to_contain_text(["写真"])


def test_all_of_it_works_without_scripts(own: Callable[..., Page]) -> None:
    page = own(java_script_enabled=False)
    page.get_by_role("searchbox").fill("длинное ПИСЬМО")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".records-empty")).to_be_visible()
    page.get_by_role("searchbox").fill("ДЛИННОЕ")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".record")).to_have_count(1)
    page.locator(".record > a").click()
    page.get_by_role("navigation", name="Way back").get_by_role("link", name="History").click()
    expect(page.get_by_role("searchbox")).to_have_value("ДЛИННОЕ")
    page.get_by_label("All 1").check()
    page.locator("#selection").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("searchbox")).to_have_value("ДЛИННОЕ")
    expect(page.locator(".record")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".record")).to_have_count(1)
