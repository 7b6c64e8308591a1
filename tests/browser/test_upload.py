"""The ways of a picture into the program, in a real browser."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

# How a user's file reaches the page, as far as a script can act it out.
_FILE_EVENT = """([kind, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const options = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
    : new DragEvent("drop", { ...options, dataTransfer: transfer }));
}"""


def test_a_chosen_picture_comes_back_with_boxes_a_list_and_a_download_in_its_format(
    page: Page, send: Callable[[Page, Path], None], pictures: Path, tmp_path: Path
) -> None:
    send(page, pictures / "apartment.jpg")
    boxes = page.locator(".result-shape:not([hidden]) .result-outline")
    rows = page.locator("[role=option]:visible")
    assert boxes.count() > 3
    assert rows.count() == boxes.count()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{boxes.count()} objects found")
    expect(page.locator(".result-classes")).to_contain_text("chair")
    frame = page.locator(".result-picture").bounding_box()
    box = boxes.first.bounding_box()
    assert frame is not None
    assert box is not None
    assert frame["x"] - 2 <= box["x"] < box["x"] + box["width"] <= frame["x"] + frame["width"] + 2
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download").click()
    assert downloading.value.suggested_filename == "detected_apartment.jpg"
    downloading.value.save_as(tmp_path / "drawn")
    with Image.open(tmp_path / "drawn") as drawn, Image.open(pictures / "apartment.jpg") as original:
        assert (drawn.format, drawn.size) == ("JPEG", original.size)
        assert drawn.convert("RGB").tobytes() != original.convert("RGB").tobytes()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_can_be_dropped_or_pasted_anywhere(page: Page, pictures: Path, kind: str) -> None:
    content = base64.b64encode((pictures / "park.jpg").read_bytes()).decode()
    page.evaluate(_FILE_EVENT, [kind, "from elsewhere.jpg", content])
    expect(page.locator(".home-chosen-name")).to_have_text("from elsewhere.jpg")
    with Image.open(pictures / "park.jpg") as original:
        size = f"{original.width} \N{MULTIPLICATION SIGN} {original.height} pixels"
    expect(page.locator(".home-chosen-size")).to_contain_text(size)
    page.keyboard.press("Enter")
    expect(page.locator(".result-file")).to_have_text("from elsewhere.jpg")


def test_the_example_picture_is_there_for_who_has_none(page: Page) -> None:
    page.get_by_role("button", name="No picture handy?").click()
    page.get_by_role("button", name="Detect objects").click()
    expect(page.locator(".result-file")).to_have_text("example.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "empty", "bytes", "pixels"])
def test_what_the_server_would_refuse_is_refused_at_once_in_its_words(
    page: Page, limits: Any, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "picture.jpg"
    match kind:
        case "text":
            file.write_text("This is not a picture.")
        case "empty":
            file.touch()
        case "bytes":
            with file.open("wb") as large:
                large.write(b"\xff\xd8\xff")
                large.truncate(limits.max_upload_bytes + 400_000)
        case "pixels":
            Image.new("1", (8000, limits.max_pixels // 8000 + 100)).save(file, "PNG")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.set_input_files("#picture", file)
    expect(page.get_by_role("alert")).to_have_text(_refusal_of_the_server(page, file.read_bytes()))
    expect(page.get_by_role("button", name="Detect objects")).to_be_hidden()
    assert "POST" not in sent


def test_what_only_the_worker_can_refuse_has_a_page_that_asks_for_another_picture(
    page: Page, complaints: list[str], pictures: Path, tmp_path: Path
) -> None:
    file = tmp_path / "half.jpg"
    file.write_bytes((pictures / "apartment.jpg").read_bytes()[:40_000])
    page.set_input_files("#picture", file)
    page.get_by_role("button", name="Detect objects").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("This picture can.t be used"))
    expect(page.locator(".lead")).to_contain_text("cut short")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.get_by_role("img")).to_have_count(0)
    page.get_by_role("link", name="History").click()
    expect(page.locator(".record").first).to_contain_text("failed")
    page.get_by_role("link", name="half.jpg").first.click()
    page.get_by_role("link", name="Choose another picture").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("See what is in a picture")
    assert [text for text in complaints if "422" not in text] == []
    complaints.clear()  # the browser notes each answer that is an error


def test_sending_shows_how_far_it_is_and_can_be_cancelled(page: Page, pictures: Path) -> None:
    page.route("**/detections", lambda route: None)  # the answer never comes
    page.set_input_files("#picture", pictures / "apartment.jpg")
    page.get_by_role("button", name="Detect objects").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Detect objects")).to_be_focused()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_cancelling_takes_back_what_was_sent_already(page: Page, pictures: Path) -> None:
    page.get_by_role("link", name="History").click()
    before = page.locator(".record").count()
    page.goto("/")
    sent: list[str] = []

    def answer(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) < 3:
            route.continue_()  # the third answer never comes

    page.route("**/detections", answer)
    page.set_input_files("#picture", [pictures / f"{name}.jpg" for name in ("park", "zoo", "street")])
    page.get_by_role("button", name="Detect objects").click()
    expect(page.get_by_role("status").filter(has_text="Uploading 3 of 3")).to_be_visible()
    with page.expect_response("**/delete"), page.expect_response("**/delete"):
        page.get_by_role("button", name="Cancel").click()
    page.get_by_role("link", name="History").click()
    expect(page.locator(".record")).to_have_count(before)


def test_a_phone_offers_its_camera(open_page: Callable[..., Page], pictures: Path) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    camera = page.get_by_label("Take a photo")
    expect(page.get_by_text("Take a photo")).to_be_visible()
    assert camera.get_attribute("capture") == "environment"
    camera.set_input_files(pictures / "park.jpg")
    expect(page.locator(".home-chosen-name")).to_have_text("park.jpg")
    page.get_by_role("button", name="Detect objects").tap()
    expect(page.locator(".result-file")).to_have_text("park.jpg")


def test_a_desktop_offers_no_camera(page: Page) -> None:
    expect(page.get_by_text("Take a photo")).to_be_hidden()


def test_model_and_lowest_score_are_chosen_before_sending(page: Page, pictures: Path) -> None:
    page.set_input_files("#picture", pictures / "apartment.jpg")
    options = page.locator(".home-options > summary")
    expect(options).to_contain_text("NanoDet-g, default minimum score")
    options.click()
    usual = page.get_by_role("radio", name="NanoDet-g")
    expect(usual).to_be_checked()
    expect(page.locator(".home-model", has=usual)).to_contain_text("boxes only · 22.9 box AP")
    page.get_by_text("more, not installed").click()
    expect(page.locator(".home-absent")).to_contain_text("flask-detector models pull rtmdet-ins-s")
    page.get_by_label("Minimum score").select_option("60%")
    expect(page.locator(".home-options-now")).to_have_text("NanoDet-g, minimum score 60%")
    page.get_by_role("button", name="Detect objects").click()
    page.locator(".result-shapes").wait_for()
    scores = [int(text.rstrip("%")) for text in page.locator(".result-instance-score").all_inner_texts()]
    assert scores
    assert min(scores) >= 60


def test_without_scripts_a_form_and_a_refresh_lead_to_the_drawn_picture(
    open_page: Callable[..., Page], pictures: Path
) -> None:
    page = open_page(java_script_enabled=False)
    page.set_input_files("#picture", pictures / "apartment.jpg")
    page.get_by_role("button", name="Detect objects").click()
    drawn = page.locator(".result-drawn")
    expect(drawn).to_be_visible()
    address = drawn.get_attribute("src") or ""
    assert address.endswith("/drawn")
    assert page.request.get(address).headers["content-type"] == "image/jpeg"
    expect(page.locator(".result-instances li:visible").first).to_contain_text("%")
    expect(page.get_by_role("slider")).to_be_hidden()
    page.get_by_role("button", name="Delete now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("History")
    page.get_by_role("button", name="Undo deleting apartment.jpg").first.click()
    expect(page.locator(".record-name").first).to_have_text("apartment.jpg")


def _refusal_of_the_server(page: Page, body: bytes) -> str:
    """Return what the server says when the form brings a file to it, unseen by the page's script."""
    answer = page.request.post(
        "/detections",
        headers={"Accept": "application/json"},
        multipart={
            "csrf_token": page.locator("#upload [name=csrf_token]").input_value(),
            "picture": {"name": "picture.jpg", "mimeType": "image/jpeg", "buffer": body},
        },
    )
    assert answer.status >= 400
    error = answer.json()["error"]
    return f"{error['message']} {error['hint']}"
