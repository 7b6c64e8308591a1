"""Pictures that are dropped or pasted on a page about something else."""

import base64
from collections.abc import Callable
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Page]

# What a script can act out of a user's paste: files with their names and contents in base64, and a text.
_PASTE = """([files, text]) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  }
  if (text) transfer.setData("text/plain", text);
  const options = { bubbles: true, cancelable: true, clipboardData: transfer };
  document.activeElement.dispatchEvent(new ClipboardEvent("paste", options));
}"""


def paste(page: Page, *files: Path, text: str = "") -> None:
    contents = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    page.evaluate(_PASTE, [contents, text])


def hold(page: Page, *paths: Path, x: int = 300, y: int = 300) -> Callable[[str], None]:
    """Hold files over a page as a user's hand does; return what is called with "drop" or "dragCancel"."""
    devtools = page.context.new_cdp_session(page)
    drag = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}

    def act(kind: str) -> None:
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": drag})

    def is_noticed() -> bool:
        act("dragOver")
        return bool(page.evaluate("window.isHeldOver"))

    # A busy page is not told of each move, but a hand goes on moving.
    page.evaluate("addEventListener('dragover', () => (window.isHeldOver = true), { once: true })")
    act("dragEnter")
    wait_until(is_noticed, 10)
    return act


@pytest.mark.parametrize(
    "path", ["result", "batch", "/history", "/about", "/api/docs", "/detections/unknown"]
)
def test_a_dropped_picture_is_sent_with_the_model_in_use_and_leads_to_its_result(
    open_page: OpenPage, complaints: list[str], result_path: str, batch_url: str, pictures: Path, path: str
) -> None:
    page = open_page({"result": result_path, "batch": urlsplit(batch_url).path}.get(path, path))
    act = hold(page, pictures / "park.jpg")
    target = page.locator("#drop-target")
    expect(target).to_be_visible()
    expect(target).to_contain_text("to detect objects with NanoDet-g")
    act("drop")
    expect(target).to_be_hidden()
    expect(page.locator(".result-file")).to_have_text("park.jpg", timeout=20_000)
    complaints[:] = [text for text in complaints if "404" not in text]


def test_several_dropped_pictures_and_those_of_folders_lead_to_their_batch(
    open_page: OpenPage, result_path: str, pictures: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "写"
    folder.mkdir()
    (folder / "zoo.jpg").write_bytes((pictures / "zoo.jpg").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    page = open_page(result_path)
    hold(page, folder, pictures / "park.jpg")("drop")
    expect(page.get_by_role("heading", level=1)).to_have_text("2 pictures")
    expect(page.locator(".record-name")).to_have_text(["zoo.jpg", "park.jpg"])


def test_what_is_dragged_away_again_is_not_sent(open_page: OpenPage, pictures: Path) -> None:
    page = open_page("/history")
    act = hold(page, pictures / "park.jpg")
    act("dragCancel")
    expect(page.locator("#drop-target")).to_be_hidden()
    expect(page.locator("#incoming")).to_be_hidden()


def test_a_pasted_picture_is_sent_but_not_while_one_writes(
    open_page: OpenPage, result_path: str, pictures: Path
) -> None:
    page = open_page("/history")
    page.locator("[type=search]").focus()
    paste(page, pictures / "park.jpg")
    page.locator("[type=search]").blur()
    expect(page.locator("#incoming")).to_be_hidden()
    paste(page, pictures / "street.jpg")
    expect(page.locator(".result-file")).to_have_text("street.jpg")


def test_the_editor_keeps_what_is_dropped_and_pasted_out(
    open_page: OpenPage, result_path: str, pictures: Path
) -> None:
    page = open_page(f"{result_path}#correct")
    page.locator("dialog.editor[data-ready]").wait_for()
    hold(page, pictures / "park.jpg")("drop")
    paste(page, pictures / "park.jpg")
    expect(page.locator("#drop-target")).to_be_hidden()
    expect(page.locator("dialog.editor")).to_be_visible()
    assert urlsplit(page.url).path == result_path


def test_where_something_is_not_saved_a_link_leads_to_what_was_sent(
    open_page: OpenPage, batch_url: str, pictures: Path
) -> None:
    page = open_page("/history")
    page.locator("[type=search]").fill("a thought")
    page.locator("[type=search]").blur()
    paste(page, pictures / "street.jpg")
    link = page.locator("#incoming").get_by_role("link", name="View it")
    expect(link).to_be_focused()
    expect(page.locator("[type=search]")).to_have_value("a thought")
    link.click()
    expect(page.locator(".result-file")).to_have_text("street.jpg")


def test_a_pasted_url_has_a_clear_word_where_the_settings_allow_no_fetching(
    open_page: OpenPage, result_path: str
) -> None:
    for path in (result_path, "/"):
        page = open_page(path)
        paste(page, text="http://pictures.example/cat.jpg")
        expect(page.get_by_role("alert")).to_contain_text("Fetching pictures from URLs is disabled.")


def test_a_pasted_url_is_fetched_by_the_server_where_the_settings_allow_it(
    start_parts: Callable[..., Any],
    open_page: OpenPage,
    serve_http: Callable[[HTTPServer], str],
    pictures: Path,
) -> None:
    files = partial(SimpleHTTPRequestHandler, directory=str(pictures))
    host = serve_http(ThreadingHTTPServer(("127.0.0.1", 0), files))
    parts = start_parts(pictures_by_url=True, allow_private_addresses=True)
    page = open_page(f"{parts.url}/about")
    paste(page, text=f"{host}/park.jpg")
    expect(page.locator("main")).to_contain_text("Waiting in the queue")
    expect(page).to_have_title("Waiting: park.jpg")
    page.goto(f"{parts.url}/")
    page.get_by_label("or the URL of a picture").fill(f"{host}/street.jpg")
    page.get_by_role("button", name="Add", exact=True).click()
    paste(page, pictures / "zoo.jpg")
    expect(page.locator(".home-chosen-name")).to_have_text(
        [f"{urlsplit(host).hostname}/street.jpg", "zoo.jpg"]
    )
    page.get_by_role("button", name="Detect objects").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 pictures")
    page = open_page(parts.url, java_script_enabled=False)
    page.get_by_label("or the URL of a picture").fill(f"{host}/park.jpg")
    page.get_by_role("button", name="Detect objects").click()
    expect(page).to_have_title("Waiting: park.jpg")


def test_a_phone_has_a_button_that_pastes(open_page: OpenPage, pictures: Path) -> None:
    page = open_page(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True,
        permissions=["clipboard-read", "clipboard-write"],
    )  # fmt: skip
    page.evaluate("navigator.clipboard.writeText('no picture')")
    page.get_by_role("button", name="Paste").tap()
    expect(page.get_by_role("alert")).to_contain_text("There is no picture on the clipboard.")
    page.evaluate(
        """async () => {
          const blob = await (await fetch(document.querySelector("[data-example]").dataset.example)).blob();
          const bitmap = await createImageBitmap(blob);
          const canvas = Object.assign(document.createElement("canvas"), { width: 300, height: 200 });
          canvas.getContext("2d").drawImage(bitmap, 0, 0, 300, 200);
          const png = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
          await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
        }"""
    )
    page.get_by_role("button", name="Paste").tap()
    expect(page.locator(".home-chosen-name")).to_have_text("pasted.png")
