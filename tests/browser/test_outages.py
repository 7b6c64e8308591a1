"""What a page shows while the web process or Redis is away, and that it goes on by itself."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.slow


@pytest.fixture
def parts(start_parts: Callable[[], Any]) -> Any:
    """A web process and a Redis of this test's own."""
    return start_parts()


def forgive(complaints: list[str], *reasons: str) -> None:
    """Take out what the browser notes of each failed request."""
    complaints[:] = [text for text in complaints if not any(reason in text for reason in reasons)]


def test_a_waiting_page_goes_on_after_the_web_process_was_killed_and_started_again(
    parts: Any, open_page: OpenPage, complaints: list[str], pictures: Path
) -> None:
    page = open_page(parts.send((pictures / "park.jpg").read_bytes()))
    with page.expect_response("**/events"):  # it listens
        page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting in the queue")
    with page.expect_request("**/events", timeout=30_000):
        parts.kill("web")
        parts.start_web()
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting in the queue")
    parts.work_off()
    expect(page.locator(".result-shapes")).to_be_visible(timeout=30_000)
    forgive(complaints, "ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY")


def test_a_line_that_is_silently_dead_is_given_up(
    parts: Any, open_page: OpenPage, complaints: list[str], pictures: Path
) -> None:
    address = parts.send((pictures / "park.jpg").read_bytes())
    page = open_page("about:blank")
    silent = 1

    def answer(route: Any) -> None:
        nonlocal silent
        silent -= 1
        if silent < 0:
            route.continue_()
        # Else nothing ever comes: a line of which nobody says that it is dead.

    page.route("**/events", answer)
    page.goto(address)
    parts.work_off()
    expect(page.locator(".result-shapes")).to_be_visible(timeout=60_000)
    forgive(complaints, "a request to")


def test_while_redis_is_away_the_page_says_so_and_comes_back_by_itself(
    parts: Any, open_page: OpenPage, complaints: list[str], pictures: Path
) -> None:
    address = parts.send((pictures / "park.jpg").read_bytes())
    page = open_page(address)
    heading = page.get_by_role("heading", level=1)
    parts.kill("redis")
    page.reload()
    expect(heading).to_have_text("Redis can't be reached.")
    expect(page.get_by_role("link", name="Try again")).to_have_attribute("href", address[len(parts.url) :])
    parts.start_redis()
    expect(heading).to_have_text("Waiting in the queue", timeout=30_000)
    forgive(complaints, "503", "ERR_INCOMPLETE")


def test_a_waiting_page_outlasts_redis(
    parts: Any, open_page: OpenPage, complaints: list[str], pictures: Path
) -> None:
    page = open_page(parts.send((pictures / "park.jpg").read_bytes()))
    parts.kill("redis")
    page.wait_for_timeout(3000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting in the queue")
    parts.start_redis()
    parts.work_off()
    expect(page.locator(".result-shapes")).to_be_visible(timeout=30_000)
    forgive(complaints, "503", "ERR_INCOMPLETE")


def test_what_is_deleted_in_another_tab_meanwhile_says_so_whatever_is_done_with_it(
    open_page: OpenPage, complaints: list[str], pictures: Path, send: Callable[[Page, Path], None]
) -> None:
    page = open_page()
    send(page, pictures / "park.jpg")
    downloading = open_page(urlsplit(page.url).path)
    token = page.locator("[name=csrf_token]").first.input_value()
    deleted = page.request.post(f"{page.url}/delete", form={"csrf_token": token})  # by another tab
    assert deleted.ok
    heading = page.get_by_role("heading", level=1)
    page.get_by_role("button", name="Make a link").click()
    expect(heading).to_have_text(re.compile("deleted|no such detection"))
    page.go_back()
    page.reload()
    expect(heading).to_have_text(re.compile("deleted|no such detection"))
    downloading.get_by_role("link", name="Download").click()
    expect(downloading.get_by_role("heading", level=1)).to_have_text(re.compile("deleted|no such detection"))
    forgive(complaints, "404", "410")


def test_back_and_forward_lead_to_what_was_shown(open_page: OpenPage, batch_url: str) -> None:
    page = open_page(batch_url)
    page.get_by_role("checkbox", name="person").check()
    page.wait_for_url("**only=person")
    page.locator(".record > a").nth(1).click()
    page.locator(".result-shapes").wait_for()
    page.get_by_role("slider", name="Minimum score").fill("60")
    page.wait_for_url("**score=0.6**")
    page.go_back()
    expect(page.get_by_role("checkbox", name="person")).to_be_checked()
    page.go_forward()
    page.locator(".result-shapes").wait_for()
    expect(page.get_by_role("slider", name="Minimum score")).to_have_value("60")
