"""A real browser for the tests: headless Chromium, one for the session."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from flask_detector.settings import Settings

SECONDS = 1000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, as the machine has it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("there is no Chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What pages wrote as errors into the console, and which other hosts they asked; must end empty."""
    return []


@pytest.fixture(scope="session")
def usual_context(browser: Browser, stack: Any) -> Iterator[BrowserContext]:
    """The browser context of all tests that need no other one."""
    context = browser.new_context(base_url=stack.url)
    yield context
    context.close()


@pytest.fixture
def open_page(
    browser: Browser, usual_context: BrowserContext, stack: Any, complaints: list[str]
) -> Iterator[Callable[..., Page]]:
    """A function that opens a page; given options, in a browser context of its own, by the same visitor."""
    pages: list[Page] = []

    def open_page(path: str = "/", **options: Any) -> Page:
        context = usual_context
        if options:
            options = {"storage_state": usual_context.storage_state(), **options}
            context = browser.new_context(base_url=stack.url, **options)
        page = context.new_page()
        pages.append(page)
        page.set_default_timeout(10 * SECONDS)
        _watch(page, urlsplit(stack.url).netloc, complaints)
        page.goto(path)
        return page

    yield open_page
    for page in pages:
        page.close()
        if page.context is not usual_context:
            page.context.close()
    assert complaints == []


def _watch(page: Page, own_host: str, complaints: list[str]) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    def on_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.netloc != own_host:
            complaints.append(f"a request to {address.netloc}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", on_request)


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The front page."""
    return open_page()


@pytest.fixture
def send() -> Callable[[Page, Path], None]:
    """A function that sends a picture from the front page and waits for its result."""

    def send(page: Page, picture: Path) -> None:
        page.set_input_files("#picture", picture)
        page.get_by_role("button", name="Detect objects").click()
        page.locator(".shapes").wait_for()

    return send


@pytest.fixture(scope="session")
def result_path(usual_context: BrowserContext, pictures: Path) -> str:
    """The path of a finished detection with many instances, for tests that only look at it."""
    page = usual_context.new_page()
    page.goto("/")
    page.set_input_files("#picture", pictures / "apartment.jpg")
    page.get_by_role("button", name="Detect objects").click()
    page.locator(".shapes").wait_for(timeout=20 * SECONDS)
    path = urlsplit(page.url).path
    page.close()
    return path


@pytest.fixture(scope="session")
def limits(stack: Any) -> Settings:
    """The settings that the running installation has."""
    return Settings(data_dir=stack.data_dir)
