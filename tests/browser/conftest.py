"""A real browser for the tests: headless Chromium, one for the session."""

import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from flask_detector.broker.local_server import LocalRedis
from flask_detector.settings import Settings
from tests.support.parts import Parts
from tests.support.ports import free_port
from tests.support.stack import Stack, environment_of

SECONDS = 1000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, as the machine has it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("there is no Chromium on PATH")
    expect.set_options(timeout=15 * SECONDS)  # as long as a busy machine may need; nobody waits for it else
    with sync_playwright() as playwright:
        # Machines that run tests have no GPU: told so, Chromium needs an eighth less processor time.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What pages wrote as errors into the console, and which other hosts they asked; must end empty."""
    return []


@pytest.fixture(scope="session")
def usual_context(browser: Browser, stack: Stack) -> Iterator[BrowserContext]:
    """The browser context of all tests that need no other one."""
    context = browser.new_context(base_url=stack.url)
    yield context
    context.close()


@pytest.fixture(scope="session")
def csrf_token(usual_context: BrowserContext) -> str:
    """The token that the forms of this visitor carry."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', usual_context.request.get("/").text())
    assert found is not None
    return found[1]


@pytest.fixture
def open_page(
    browser: Browser, usual_context: BrowserContext, stack: Stack, complaints: list[str]
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
        page.set_default_timeout(20 * SECONDS)
        _watch(page, urlsplit(urljoin(stack.url, path)).netloc, complaints)
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
    return _send


def _send(page: Page, picture: Path) -> None:
    page.set_input_files("#picture", picture)
    page.get_by_role("button", name="Detect objects").click()
    page.locator(".result-shapes").wait_for(timeout=20 * SECONDS)


@pytest.fixture(scope="session")
def result_path(usual_context: BrowserContext, pictures: Path) -> str:
    """The path of a finished detection with many instances, for tests that only look at it."""
    page = usual_context.new_page()
    page.goto("/")
    _send(page, pictures / "apartment.jpg")
    path = urlsplit(page.url).path
    page.close()
    return path


@pytest.fixture(scope="session")
def comparison_path(usual_context: BrowserContext, csrf_token: str, pictures: Path) -> str:
    """The path of two results side by side; the second lacks an object and calls another a truck."""
    page = usual_context.new_page()
    page.goto("/")
    _send(page, pictures / "street.jpg")
    again = page.request.post(f"{page.url}/again", form={"csrf_token": csrf_token, "compare": ""})
    page.goto(again.url)
    page.locator(".comparison-stages .result-shapes").first.wait_for(timeout=20 * SECONDS)
    annotations = f"/detections/{again.url.rpartition('/')[2]}/annotations"
    document = page.request.get(annotations).json()
    objects = [{name: one[name] for name in ("id", "label", "box")} for one in document["objects"][1:]]
    objects[0]["label"] = "truck"
    size = {name: document[name] for name in ("width", "height")}
    page.request.put(
        annotations,
        data={"version": 1, "labels": [], "objects": objects, **size},
        headers={"If-Match": "*", "X-CSRFToken": csrf_token},
    )
    page.close()
    return urlsplit(again.url).path


@pytest.fixture(scope="session")
def batch_url(usual_context: BrowserContext, pictures: Path) -> str:
    """The address of a finished batch of three pictures."""
    page = usual_context.new_page()
    page.goto("/")
    page.set_input_files(
        "#picture", [pictures / name for name in ("park.jpg", "street.jpg", "apartment.jpg")]
    )
    page.get_by_role("button", name="Detect objects").click()
    page.wait_for_url("**/batches/*")
    page.locator("#records:not([data-changing])").wait_for(timeout=20 * SECONDS)
    url = page.url
    page.close()
    return url


@pytest.fixture(scope="session")
def start_parts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Parts]]:
    """A function that starts a web process and a Redis of its own, with these settings."""
    started: list[Parts] = []

    def start(**wishes: Any) -> Parts:
        folder = tmp_path_factory.mktemp("parts")
        server = LocalRedis(folder / "redis")
        port = free_port()
        settings = Settings(data_dir=folder, redis_url=server.url, port=port, **wishes)
        parts = Parts(f"http://127.0.0.1:{port}", environment_of(settings), server, {})
        started.append(parts)
        parts.start_redis()
        parts.start_web()
        return parts

    yield start
    for parts in started:
        parts.end()


@pytest.fixture(scope="session")
def idle_parts(start_parts: Callable[..., Parts]) -> Parts:
    """A web process and a Redis without a worker, for tests that leave both alone."""
    return start_parts(job_timeout=6)


@pytest.fixture(scope="session")
def crowd_url(idle_parts: Parts) -> str:
    """The address of a finished detection of a hundred outlined objects."""
    parts = idle_parts
    file = io.BytesIO()
    Image.radial_gradient("L").resize((1500, 1000)).convert("RGB").save(file, "JPEG")
    address = parts.send(file.getvalue())
    parts.work_off()
    return address


@pytest.fixture(scope="session")
def limits(stack: Stack) -> Settings:
    """The settings that the running installation has."""
    return Settings(data_dir=stack.data_dir)
