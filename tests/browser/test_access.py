"""The pages are checked by axe-core, in light and dark, on a phone and on a desktop."""

import io
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page

from flask_detector.api_keys import Keys, Scope
from flask_detector.broker.connection import connect
from flask_detector.broker.local_server import LocalRedis
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def sign_in(stack: Stack) -> Callable[[Page], None]:
    """A function that signs in as an operator, on the page that asks for it."""

    def sign_in(page: Page) -> None:
        local = LocalRedis(stack.data_dir / "redis")
        with connect(local.url) as connection:
            _, key = Keys(connection).create("a test", Scope.ADMIN)
        local.remove_socket_folder()
        page.get_by_label("Admin key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Workers").wait_for()

    return sign_in


PHONE, DESKTOP = 360, 1440


@pytest.fixture(scope="session")
def paths(
    idle_parts: Any,
    stack: Stack,
    result_path: str,
    shared_path: str,
    shared_batch_path: str,
    batch_url: str,
    comparison_path: str,
    crowd_url: str,
    jpeg_file: bytes,
) -> dict[str, str]:
    """Where each page is found."""
    return {
        "home": "/",
        "result": result_path,
        "batch": f"{urlsplit(batch_url).path}?score=0.4&only=person",
        "comparison": comparison_path,
        "crowd": crowd_url,
        "waiting": idle_parts.send(jpeg_file),
        "failed": _ended(stack.url, jpeg_file[:500]),
        "cancelled": _cancelled(idle_parts, jpeg_file),
        "deleted": _deleted(stack.url, jpeg_file),
        "shared": shared_path,
        "shared batch": shared_batch_path,
        "unknown": f"/detections/{'0' * 32}",
        "history": "/history",
        "about": "/about",
        "api": "/api/docs",
        "admin": "/admin",
        "models": "/admin/models",
        "login": "/admin/login",
    }


@pytest.fixture(scope="session")
def jpeg_file() -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.radial_gradient("L").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="session")
def shared_path(usual_context: BrowserContext, result_path: str) -> str:
    """The path of a finished detection for those who were given its link."""
    page = usual_context.new_page()
    page.goto(result_path)
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_role("textbox", name="Link").input_value()
    page.close()
    return urlsplit(link).path


@pytest.fixture(scope="session")
def shared_batch_path(usual_context: BrowserContext, batch_url: str) -> str:
    """The path of a finished batch for those who were given its link."""
    page = usual_context.new_page()
    page.goto(batch_url)
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_role("textbox", name="Link").input_value()
    page.close()
    return urlsplit(link).path


def _cancelled(parts: Any, picture: bytes) -> str:
    """Return the address of a detection that was stopped before a worker took it."""
    address: str = parts.send(picture)
    id = address.rpartition("/")[2]
    _ask("POST", f"{parts.url}/api/v1/detections/{id}/cancel")
    return address


def _deleted(url: str, picture: bytes) -> str:
    """Return the path of a detection that was deleted, which is shown like one that has expired."""
    path = _ended(url, picture)
    _ask("DELETE", f"{url}/api/v1{path}")
    return path


def _ask(method: str, address: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=30):
        pass


def _ended(url: str, picture: bytes) -> str:
    """Return the address of a detection that has ended."""
    with urllib.request.urlopen(f"{url}/api/v1/detections", picture, timeout=30) as answer:
        id = json.load(answer)["id"]

    def is_over() -> bool:
        with urllib.request.urlopen(f"{url}/detections/{id}/state", timeout=30) as answer:
            return bool(json.load(answer)["final"])

    wait_until(is_over, 30)
    return f"/detections/{id}"


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [
        ("home", "light", PHONE),
        ("home", "dark", DESKTOP),
        ("result", "light", DESKTOP),
        ("result", "dark", PHONE),
        ("batch", "light", PHONE),
        ("batch", "dark", DESKTOP),
        ("comparison", "light", PHONE),
        ("comparison", "dark", DESKTOP),
        ("crowd", "light", PHONE),
        ("crowd", "dark", DESKTOP),
        ("waiting", "light", DESKTOP),
        ("waiting", "dark", PHONE),
        ("failed", "light", PHONE),
        ("failed", "dark", DESKTOP),
        ("cancelled", "light", PHONE),
        ("cancelled", "dark", DESKTOP),
        ("deleted", "light", DESKTOP),
        ("deleted", "dark", PHONE),
        ("shared", "light", PHONE),
        ("shared", "dark", DESKTOP),
        ("shared batch", "light", PHONE),
        ("unknown", "light", DESKTOP),
        ("unknown", "dark", PHONE),
        ("history", "light", PHONE),
        ("history", "dark", DESKTOP),
        ("about", "light", DESKTOP),
        ("about", "dark", PHONE),
        ("api", "light", PHONE),
        ("api", "dark", DESKTOP),
        ("admin", "light", DESKTOP),
        ("admin", "dark", PHONE),
        pytest.param("models", "light", PHONE, marks=pytest.mark.slow),
        pytest.param("models", "dark", DESKTOP, marks=pytest.mark.slow),
        ("login", "light", PHONE),
    ],
)
def test_axe_finds_nothing(
    open_page: Callable[..., Page],
    complaints: list[str],
    paths: dict[str, str],
    sign_in: Callable[[Page], None],
    name: str,
    scheme: str,
    width: int,
) -> None:
    page = open_page(paths[name], color_scheme=scheme, viewport={"width": width, "height": 900})
    complaints.clear()  # the browser's note that an unknown or failed detection is one
    if name in {"result", "comparison", "crowd", "shared"}:
        page.locator(".result-shapes").last.wait_for()
    if name in {"admin", "models"}:
        sign_in(page)
        page.goto(paths[name])
    check(page)


@pytest.mark.slow
def test_axe_finds_nothing_in_what_opens_and_appears(
    open_page: Callable[..., Page], paths: dict[str, str], pictures: Path
) -> None:
    page = open_page(viewport={"width": PHONE, "height": 844}, color_scheme="dark")
    page.set_input_files("#picture", [pictures / "park.jpg", pictures / "zoo.jpg"])
    page.locator(".home-options > summary").click()
    check(page)
    page.get_by_role("button", name="Detect objects").click()
    page.get_by_text("Download all").click()
    check(page)
    page.goto(paths["history"])
    page.get_by_role("checkbox", name="Select").first.check()
    page.get_by_text("Export", exact=True).click()
    check(page)
    page.keyboard.press("Escape")
    page.locator("#selection").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").wait_for()
    check(page)
    page.get_by_role("button", name="Undo").click()
    crowd = open_page(paths["crowd"], viewport={"width": PHONE, "height": 844})
    crowd.locator(".result-shapes").wait_for()
    crowd.locator("[role=option]").first.click()
    crowd.get_by_role("button", name="Compare").click()
    crowd.get_by_text("Export", exact=True).click()
    check(crowd)


def check(page: Page) -> None:
    """Fail where axe finds something, or the page is wider than its window."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm install")
    page.evaluate(AXE.read_text())
    violations = page.evaluate(
        "rules => axe.run({ runOnly: rules }).then(r => r.violations.map(v => "
        "`${v.id}: ${v.nodes.map(n => n.html).join(' | ')}`))",
        _RULES,
    )
    assert violations == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
