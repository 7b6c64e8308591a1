"""What may go wrong while many pictures are sent, and that nothing of what was sent is lost."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, Route, expect

from tests.support.disks import SmallDisks
from tests.support.installation import Installation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Page]


@pytest.fixture
def parts(start_parts: Callable[[], Any]) -> Any:
    """A web process and a Redis of this test's own, whose queue nobody works off."""
    return start_parts()


@pytest.fixture
def hundred() -> list[FilePayload]:
    """A hundred tiny pictures."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(file, "PNG")
    return [FilePayload(name=f"写{i}.png", mimeType="image/png", buffer=file.getvalue()) for i in range(100)]


@dataclass(frozen=True)
class FullDisk:
    """An installation whose disk of the pictures can be filled."""

    url: str
    disks: SmallDisks
    folder: Path

    def fill(self) -> None:
        """Leave no room for another picture."""
        self.disks.fill(self.folder)

    def free(self) -> None:
        """Make room again."""
        self.disks.free(self.folder)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[FullDisk]:
    """An installation with a small disk for its pictures."""
    folder = tmp_path / "data" / "pictures"
    disks = SmallDisks(folder, megabytes=16)
    installation = Installation(tmp_path, within=disks.within)
    try:
        installation.start_redis()
        installation.start_web()
        yield FullDisk(f"http://127.0.0.1:{installation.port}", disks, folder)
    finally:
        installation.close()
        disks.close()


def begin(page: Page, files: list[FilePayload]) -> None:
    """Send pictures from the front page, whose clock a test may move on."""
    page.clock.install()
    page.goto(page.url)
    page.set_input_files("#picture", files)
    expect(page.locator(".home-chosen li")).to_have_count(len(files))
    page.get_by_role("button", name="Detect objects").click()


def at(page: Page, number: int) -> None:
    """Wait until so many have been sent."""
    words = page.locator(".home-sending-words")
    wait_until(lambda: int((re.findall(r"Uploading (\d+) of", words.inner_text()) or [0])[0]) >= number, 60)


def move_on(page: Page, condition: Callable[[], bool]) -> None:
    """Let the time that the page waits between its tries pass, until a condition comes true."""

    def has_come() -> bool:
        page.clock.run_for(1000)
        return condition()

    wait_until(has_come, 60)


def give_up(page: Page) -> None:
    """Let the page try again until it doesn't any more."""
    move_on(page, page.get_by_role("alert").is_visible)


def arrive(page: Page) -> None:
    """Let the page try again until it leads to the batch."""
    move_on(page, lambda: "/batches/" in page.url)


def forgive(complaints: list[str], *reasons: str) -> None:
    """Take out what the browser notes of each failed request."""
    complaints[:] = [text for text in complaints if not any(reason in text for reason in reasons)]


def test_when_the_line_is_cut_at_the_fortieth_what_was_sent_is_a_batch_which_the_rest_joins(
    parts: Any, open_page: OpenPage, complaints: list[str], hundred: list[FilePayload]
) -> None:
    page = open_page(parts.url)
    is_cut = False
    asked: list[str] = []

    def answer(route: Route) -> None:
        nonlocal is_cut
        asked.append(route.request.url)
        if len(asked) == 40:
            is_cut = True
        if is_cut:
            route.abort()
        else:
            route.continue_()

    page.route("**/*", lambda route: answer(route) if route.request.method == "POST" else route.continue_())
    begin(page, hundred)
    expect(page.locator(".home-sending-words")).to_have_text("The server could not be reached. Trying again…")
    give_up(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Check your connection")
    expect(alert).to_contain_text("39 of 100 were sent and stay together. The other 61 are still chosen")
    expect(page.locator(".home-chosen li")).to_have_count(61)
    batch = page.get_by_role("link", name="View the other 39").get_attribute("href")
    is_cut = False
    page.get_by_role("button", name="Detect objects").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("100 pictures", timeout=30_000)
    assert page.url == f"{parts.url}{batch}"
    forgive(complaints, "ERR_FAILED")


def test_a_picture_whose_answer_was_lost_is_in_the_batch_once(
    parts: Any, open_page: OpenPage, complaints: list[str], hundred: list[FilePayload]
) -> None:
    page = open_page(parts.url)
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 3:
            route.fetch()  # the server has it
            route.abort()
        else:
            route.continue_()

    page.route("**/detections", answer)
    begin(page, hundred[:5])
    arrive(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("5 pictures")
    assert len(asked) == 6
    forgive(complaints, "ERR_FAILED")


def test_a_server_that_is_started_again_while_pictures_are_sent_gets_all_of_them(
    parts: Any, open_page: OpenPage, complaints: list[str], hundred: list[FilePayload]
) -> None:
    page = open_page(parts.url)
    begin(page, hundred)
    at(page, 20)
    parts.kill("web")
    expect(page.locator(".home-sending-words")).to_contain_text("Trying again")
    parts.start_web()
    arrive(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("100 pictures")
    forgive(complaints, "ERR_")


def test_when_the_disk_is_full_the_page_says_so_once_and_goes_on_when_there_is_room(
    full_disk: FullDisk, open_page: OpenPage, complaints: list[str], hundred: list[FilePayload]
) -> None:
    page = open_page(full_disk.url)
    begin(page, hundred)
    at(page, 10)
    full_disk.fill()
    give_up(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("full")
    expect(alert).to_contain_text(re.compile(r"\d+ of 100 were sent and stay together"))
    assert alert.locator("p").count() == 2
    full_disk.free()
    page.get_by_role("button", name="Detect objects").click()
    arrive(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("100 pictures")
    forgive(complaints, "503")


def test_of_a_hundred_with_three_bad_ones_the_others_are_a_batch_and_each_bad_one_is_named(
    parts: Any, open_page: OpenPage, complaints: list[str], hundred: list[FilePayload]
) -> None:
    page = open_page(parts.url)
    bad = [
        FilePayload(name=name, mimeType="image/jpeg", buffer=data)
        for name, data in (
            ("words.jpg", b"none"),
            ("写真.jpg", b"\xff\xd8\xff" + bytes(50)),
            ("x.png", b"\x89PNG"),
        )
    ]
    files = [*hundred[:97], *bad]
    page.set_input_files("#picture", files)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("words.jpg")
    page.get_by_role("button", name="Detect objects").click()
    link = page.get_by_role("link", name="View the other 97")
    link.wait_for(timeout=30_000)
    expect(alert).to_contain_text("写真.jpg")
    expect(alert).to_contain_text("x.png")
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("97 pictures")
    forgive(complaints, "415", "422")


def test_when_the_batch_is_deleted_in_another_tab_meanwhile_the_rest_stays_together(
    parts: Any, open_page: OpenPage, complaints: list[str], hundred: list[FilePayload]
) -> None:
    page = open_page(parts.url)
    asked: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(route)
        if len(asked) != 31:  # that one waits
            route.continue_()

    page.route("**/detections", answer)
    begin(page, hundred)
    at(page, 31)
    other = page.context.new_page()
    other.goto(f"{parts.url}/history")
    other.locator(".record > a").first.click()
    other.get_by_text("Delete all", exact=True).click()
    other.get_by_role("button", name=re.compile("Delete all .* now")).click()
    other.wait_for_url("**/history**")
    other.close()
    asked[30].continue_()
    expect(page.get_by_role("heading", level=1)).to_have_text("70 pictures", timeout=30_000)
