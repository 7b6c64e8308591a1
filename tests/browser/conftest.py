"""A real browser for the tests: headless Chromium, one for the session."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

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


@pytest.fixture
def open_page(browser: Browser, stack: Any, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """A function that opens the front page in a browser context of the given options."""
    contexts: list[BrowserContext] = []
    own_host = urlsplit(stack.url).netloc

    def open_page(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(base_url=stack.url, **options)
        context.set_default_timeout(10 * SECONDS)
        contexts.append(context)
        page = context.new_page()

        def on_console(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                complaints.append(message.text)

        def on_request(request: Any) -> None:
            address = urlsplit(request.url)
            if address.scheme in {"http", "https", "ws", "wss"} and address.netloc != own_host:
                complaints.append(f"a request to {address.netloc}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", on_request)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


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
def result_path(browser: Browser, stack: Any, pictures: Path) -> str:
    """The path of a finished detection with many instances, for tests that only look at it."""
    context = browser.new_context(base_url=stack.url)
    page = context.new_page()
    page.goto("/")
    page.set_input_files("#picture", pictures / "apartment.jpg")
    page.get_by_role("button", name="Detect objects").click()
    page.locator(".shapes").wait_for(timeout=20 * SECONDS)
    path = urlsplit(page.url).path
    context.close()
    return path


@pytest.fixture(scope="session")
def limits(stack: Any) -> Settings:
    """The settings that the running installation has."""
    return Settings(data_dir=stack.data_dir)
