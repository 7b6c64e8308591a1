"""Waiting, and how it ends."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def stopped_worker(stack: Stack) -> Callable[[], AbstractContextManager[None]]:
    """A function: while its block runs, the installation's worker stands still."""

    @contextmanager
    def stopped() -> Iterator[None]:
        worker = _worker_of(stack.process.pid)
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker, signal.SIGCONT)

    return stopped


def test_waiting_shows_the_picture_and_gives_way_to_the_result_by_itself(
    page: Page, stopped_worker: Callable[[], AbstractContextManager[None]], pictures: Path
) -> None:
    with stopped_worker():
        page.set_input_files("#picture", pictures / "park.jpg")
        page.get_by_role("button", name="Detect objects").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Waiting in the queue")
        expect(page.get_by_role("img", name="park.jpg")).to_be_visible()
        expect(page.get_by_role("listitem").first).to_have_attribute("aria-current", "step")
    page.locator(".result-shapes").wait_for()


@pytest.mark.slow
def test_a_page_that_gets_no_events_asks_now_and_then(
    page: Page,
    complaints: list[str],
    stopped_worker: Callable[[], AbstractContextManager[None]],
    pictures: Path,
) -> None:
    page.route("**/events", lambda route: route.fulfill(status=503))
    with stopped_worker():
        page.set_input_files("#picture", pictures / "park.jpg")
        page.get_by_role("button", name="Detect objects").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Waiting in the queue")
    page.locator(".result-shapes").wait_for()
    assert [text for text in complaints if "503" not in text] == []
    complaints.clear()


def test_a_cancelled_detection_can_be_taken_up_again_and_deleted(
    page: Page,
    complaints: list[str],
    stopped_worker: Callable[[], AbstractContextManager[None]],
    pictures: Path,
) -> None:
    with stopped_worker():
        page.set_input_files("#picture", pictures / "park.jpg")
        page.get_by_role("button", name="Detect objects").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Waiting in the queue")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Cancelled")
    page.get_by_role("button", name="Run again").click()
    page.locator(".result-shapes").wait_for()
    address = page.url
    page.get_by_role("button", name="Delete now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("History")
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "This detection and its picture have been deleted."
    )
    assert [text for text in complaints if "410" not in text] == []
    complaints.clear()


@pytest.mark.slow
def test_a_failed_detection_says_why_and_is_tried_again_without_a_new_upload(
    idle_parts: Any, open_page: Callable[..., Page], complaints: list[str], pictures: Path
) -> None:
    page = open_page(idle_parts.send((pictures / "park.jpg").read_bytes()))
    idle_parts.work_off(seconds=20)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Detection failed")
    expect(page.locator(".lead")).to_contain_text("it took longer than 6 seconds")
    expect(page.get_by_role("img", name="picture")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(heading).to_have_text("Waiting in the queue")
    idle_parts.work_off()
    expect(page.locator(".result-shapes")).to_be_visible()
    assert [text for text in complaints if "500" not in text] == []
    complaints.clear()


@pytest.mark.slow
def test_waiting_tells_that_no_worker_is_there_and_the_steps_to_come(
    idle_parts: Any, open_page: Callable[..., Page], pictures: Path
) -> None:
    idle_parts.work_off()  # what other tests left waiting
    page = open_page(idle_parts.send((pictures / "park.jpg").read_bytes()))
    expect(page.get_by_text("No worker is running")).to_be_visible()
    expect(page.get_by_text("Yours is next.")).to_be_visible()
    expect(page.locator(".waiting-steps li")).to_have_text(
        ["In the queue", "Read the picture", "Run the model", "Find objects"]
    )
    other = open_page(idle_parts.send((pictures / "park.jpg").read_bytes()))
    expect(other.get_by_text("1 picture is before yours.")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancelled")
    expect(other.get_by_text("Yours is next.")).to_be_visible()
    other.get_by_role("button", name="Cancel").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Cancelled")


def test_an_address_that_never_was_has_a_calm_page(
    open_page: Callable[..., Page], complaints: list[str]
) -> None:
    page = open_page(f"/detections/{'0' * 32}")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such detection.")
    page.get_by_role("link", name="Upload a picture").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("See what is in a picture")
    assert [text for text in complaints if "404" not in text] == []
    complaints.clear()


def _worker_of(supervisor: int) -> int:
    """Return the process id of the supervisor's worker."""

    def workers() -> list[int]:
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        return [int(c) for c in children if b"\0worker\0" in Path(f"/proc/{c}/cmdline").read_bytes()]

    wait_until(lambda: len(workers()) > 0, 10)
    return workers()[0]
