"""Many pictures at once, in a real browser: choosing them, one view of all, and the way through them."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Dialog, FilePayload, Page, expect

NAMES = ("park.jpg", "street.jpg", "apartment.jpg")


@pytest.fixture
def batch(open_page: Callable[..., Page], batch_url: str) -> Page:
    """The batch's page."""
    return open_page(batch_url)


def choose(page: Page) -> None:
    """Show persons above 0.4 alone."""
    slider = page.get_by_role("slider", name="Minimum score")
    place = slider.bounding_box()
    assert place
    slider.click(position={"x": 8 + 0.4 * (place["width"] - 16), "y": place["height"] / 2})
    page.wait_for_url("**?score=0.4")
    expect(slider).to_be_focused()
    page.get_by_role("checkbox", name="person").check()
    page.wait_for_url("**?score=0.4&only=person")
    expect(page.locator(".record-state:not(:text-matches('persons?$|nothing'))")).to_have_count(0)


def test_all_persons_above_a_score_are_taken_as_one_data_set(batch: Page) -> None:
    choose(batch)
    expect(batch.get_by_role("checkbox", name="person")).to_be_focused()
    number = int(batch.locator("h1 + p").inner_text().split()[0])
    batch.get_by_text("Download all").click()
    with batch.expect_download() as downloading:
        batch.get_by_role("link", name="YOLO", exact=True).click()
    archive = zipfile.ZipFile(downloading.value.path())
    labels = [archive.read(name).decode() for name in archive.namelist() if name.startswith("labels/")]
    assert number
    assert sum(len(text.splitlines()) for text in labels) == number


@pytest.mark.slow
def test_whoever_is_quicker_than_the_server_downloads_what_was_chosen(batch: Page) -> None:
    batch.route("**/batches/*?only=person", lambda route: None)  # the answer never comes
    boxes = batch.locator(".record-boxes path")
    expect(boxes.and_(batch.locator(":not([data-label=person])")).first).to_be_visible()
    batch.get_by_role("checkbox", name="person").check()
    expect(boxes.and_(batch.locator(":not([data-label=person]):visible"))).to_have_count(0)
    expect(boxes.and_(batch.locator("[data-label=person]")).first).to_be_visible()
    batch.get_by_text("Download all").click()
    with batch.expect_download() as downloading:
        batch.get_by_role("link", name="Counts per picture and class, CSV").click()
    head, *_ = downloading.value.path().read_text().splitlines()
    assert head == "file,state,corrected,objects,person"


def test_keys_lead_from_result_to_result_and_a_link_back_to_the_batch_as_it_was(batch: Page) -> None:
    choose(batch)
    batch.locator(".record > a").nth(1).click()
    batch.locator(".result-shapes").wait_for()
    expect(batch.locator(".place")).to_contain_text("2 of 3")
    expect(batch.get_by_role("checkbox", name="person")).to_be_checked()
    expect(batch.locator(".result-classes :checked:visible")).to_have_count(1)
    batch.keyboard.press("ArrowRight")
    expect(batch.locator(".place")).to_contain_text("3 of 3")
    batch.get_by_role("link", name="Previous picture").click()
    expect(batch.locator(".place")).to_contain_text("2 of 3")
    batch.get_by_role("link", name="All 3 pictures").click()
    expect(batch.get_by_role("checkbox", name="person")).to_be_checked()
    batch.get_by_role("link", name="Show everything").click()
    expect(batch.get_by_role("checkbox", name="person")).not_to_be_checked()


def test_a_batch_is_filtered_without_scripts(open_page: Callable[..., Page], batch_url: str) -> None:
    page = open_page(batch_url, java_script_enabled=False)
    page.get_by_role("checkbox", name="person").check()
    page.get_by_label("Sort").select_option("most objects")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("checkbox", name="person")).to_be_checked()
    numbers = [int(text) for text in page.locator(".record-number").all_inner_texts()]
    assert numbers == sorted(numbers, reverse=True)


def test_the_history_leads_to_the_batch(open_page: Callable[..., Page], batch_url: str) -> None:
    page = open_page("/history")
    page.locator(".record.several", has_text="park.jpg").last.get_by_role("link").click()
    assert page.url == batch_url
    page.get_by_role("link", name="History").last.click()
    page.get_by_role("searchbox").fill("park")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="The batch of park.jpg").last.click()
    assert page.url == batch_url


@pytest.fixture
def small_pictures() -> list[FilePayload]:
    """A hundred tiny pictures, and three files that are none."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(file, "PNG")
    good = [FilePayload(name=f"写{i}.png", mimeType="image/png", buffer=file.getvalue()) for i in range(100)]
    bad = [FilePayload(name=f"bad{i}.jpg", mimeType="image/jpeg", buffer=b"none") for i in range(3)]
    return good + bad


def test_a_hundred_are_a_grid_to_which_more_is_added_and_from_which_single_ones_are_removed(
    page: Page, small_pictures: list[FilePayload], pictures: Path
) -> None:
    page.set_input_files("#picture", small_pictures)
    chosen = page.locator(".home-chosen li")
    expect(chosen).to_have_count(100)
    expect(page.get_by_role("alert").locator("p")).to_have_count(3)
    first, second = chosen.nth(0).bounding_box(), chosen.nth(1).bounding_box()
    assert first
    assert second
    assert first["y"] == second["y"]
    page.get_by_role("button", name="Remove 写7.png").click()
    expect(chosen).to_have_count(99)
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Add more").click()
    choosing.value.set_files(pictures / "park.jpg")
    expect(chosen).to_have_count(100)
    assert page.locator("#picture").evaluate("input => input.files.length") == 100


def test_a_folder_is_chosen_with_its_pictures_alone(page: Page, pictures: Path, tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    (inside / "zoo.jpg").write_bytes((pictures / "zoo.jpg").read_bytes())
    (inside / "notes.txt").write_text("no picture")
    page.get_by_label("Choose a folder").set_input_files(tmp_path / "a")
    expect(page.locator(".home-chosen-name")).to_have_text(["zoo.jpg"])
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_folder_is_dropped_with_its_pictures_alone(page: Page, pictures: Path, tmp_path: Path) -> None:
    inside = tmp_path / "a" / "写"
    inside.mkdir(parents=True)
    for name in ("10.jpg", "2.jpg"):
        (inside / name).write_bytes((pictures / "zoo.jpg").read_bytes())
    (inside / "notes.txt").write_text("no picture")
    page.locator(".home-drop-mark").wait_for()
    devtools = page.context.new_cdp_session(page)
    drag = {"items": [], "files": [str(tmp_path / "a")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": drag})
    expect(page.locator(".home-chosen-name")).to_have_text(["2.jpg", "10.jpg"])
    expect(page.get_by_role("alert")).to_be_hidden()


def test_leaving_while_sending_is_warned_of_and_what_was_sent_is_a_batch(
    open_page: Callable[..., Page], pictures: Path
) -> None:
    page = open_page()
    sent: list[str] = []
    page.on(
        "response", lambda response: sent.append(response.url) if response.request.method == "POST" else None
    )
    page.set_input_files("#picture", [pictures / name for name in NAMES])
    page.route("**/detections", lambda route: route.continue_() if len(sent) < 1 else None)
    with page.expect_response("**/detections"):
        page.get_by_role("button", name="Detect objects").click()
    # The percentage is of all three.
    expect(
        page.get_by_role("status").filter(has_text=re.compile("Uploading 2 of 3, [3-6][0-9]%"))
    ).to_be_visible()
    warned: list[str] = []

    def leave(dialog: Dialog) -> None:
        warned.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.reload()
    assert warned == ["beforeunload"]
    page.goto("/history?q=park")
    page.get_by_role("link", name="The batch of park.jpg").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 picture")


@pytest.mark.slow
def test_one_button_copies_a_link_to_the_batch_as_it_is_shown(
    browser: Browser, usual_context: BrowserContext, batch_url: str
) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(storage_state=usual_context.storage_state(), permissions=allowed)
    page = context.new_page()
    page.goto(batch_url)
    choose(page)
    make, stop = (
        page.get_by_role("button", name="Make a link"),
        page.get_by_role("button", name="Stop sharing"),
    )
    if stop.is_visible():
        stop.click()
    make.click()
    expect(page.locator("#said")).to_have_text("Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("?score=0.4&only=person")
    page.get_by_role("checkbox", name="person").uncheck()
    expect(page.get_by_role("textbox", name="Link")).to_have_value(link.removesuffix("&only=person"))
    stranger = browser.new_context().new_page()
    stranger.goto(link)
    expect(stranger.get_by_role("checkbox", name="person")).to_be_checked()
    expect(stranger.get_by_role("button", name="Delete")).to_have_count(0)
    stranger.locator(".record > a").nth(1).click()
    stranger.locator(".result-shapes").wait_for()
    stranger.keyboard.press("ArrowRight")
    expect(stranger.locator(".place")).to_contain_text("3 of 3")
    stranger.get_by_role("link", name="All 3 pictures").click()
    expect(stranger.get_by_role("checkbox", name="person")).to_be_checked()
    stop.click()
    page.wait_for_url("**?score=0.4")
    stranger.reload()
    expect(stranger.get_by_role("heading", level=1)).to_contain_text("no longer shared")
    stranger.context.close()
    context.close()
