"""The first page is small, and nothing of it waits for anything but the page itself."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as TookTooLong

from tests.support.stack import Stack

LARGEST = 60_000  # bytes, with all its assets, as they come over the line


def test_it_is_small_and_its_parts_are_asked_for_at_once(browser: Browser, stack: Stack) -> None:
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    asked: dict[str, str] = {}
    received: dict[str, float] = {}
    session.on(
        "Network.requestWillBeSent",
        lambda event: asked.update({event["request"]["url"]: event["initiator"]["type"]}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: received.update({event["requestId"]: event["encodedDataLength"]}),
    )
    session.send("Network.enable")
    page.goto(stack.url)
    expect(page.locator("#upload[data-state=empty]")).to_be_visible()
    page.wait_for_load_state("networkidle")
    context.close()
    scripts = [url for url in asked if url.endswith(".js")]
    assert len(scripts) > 5
    # "script" would be a module that the browser finds only by reading another: a round trip more.
    assert {kind for url, kind in asked.items() if url in scripts} == {"parser"}
    assert 10_000 < sum(received.values()) < LARGEST


@pytest.mark.slow
def test_it_can_be_used_on_a_slow_line(open_page: Callable[..., Page]) -> None:
    for _ in range(3):  # Chromium's emulation leaves a request lying for good now and then
        page = open_page("/about", viewport={"width": 390, "height": 844})
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 90_000},
        )
        page.goto("/", wait_until="commit")
        try:
            page.get_by_role("button", name="No picture handy?").click(timeout=15_000)
            page.get_by_text("example.jpg").wait_for(timeout=15_000)
            return
        except TookTooLong:
            continue
    pytest.fail("the page did not become usable")
