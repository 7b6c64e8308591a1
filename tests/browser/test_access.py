"""Every page is checked by axe-core: in both themes, on a desk, on a narrow phone and with enlarged text."""

import io
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, FilePayload, Page

from flask_detector import web
from flask_detector.api_keys import Keys, Scope
from flask_detector.broker.connection import connect
from flask_detector.broker.local_server import LocalRedis
from flask_detector.jobs.lessons import LessonRequest, Lessons
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
        page.get_by_role("button", name="Sign out").wait_for()

    return sign_in


PHONE, DESKTOP = {"width": 320, "height": 640}, {"width": 1440, "height": 900}

# What each template of templates/pages/ is called below; "error" are several.
PAGES = {
    "about": ["about"],
    "api": ["api"],
    "batch": ["batch", "shared batch"],
    "cancelled": ["cancelled"],
    "collected": ["collected"],
    "collection": ["collection", "to correct"],
    "collections": ["collections"],
    "comparison": ["comparison"],
    "error": ["deleted", "unknown"],
    "failed": ["failed"],
    "history": ["history"],
    "home": ["home"],
    "imported": ["imported"],
    "models": ["models"],
    "operator": ["admin"],
    "operator_login": ["login"],
    "result": ["result", "crowd", "shared"],
    "taught": ["taught"],
    "teach": ["teach"],
    "teaching": ["teaching"],
    "waiting": ["waiting"],
}
NAMES = [name for names in PAGES.values() for name in names]

# What a finger should hit; what stands within a sentence may be as low as its line (WCAG 2.5.5, inline).
_TOO_SMALL = """() => [...document.querySelectorAll(
    "a[href], button, summary, select, [type=range], [type=text], [type=url], [type=search], " +
    "label:has(input), [role=option]"
  )].filter((one) => !one.closest("p:not(.actions), dd, .skip"))
    .filter((one) => one.checkVisibility({ opacityProperty: true }))
    .map((one) => [one.outerHTML.slice(0, 90), one.getBoundingClientRect()])
    .filter(([, { width, height }]) => width < 43.5 || height < 43.5)
    .map(([html, { width, height }]) => `${width} x ${height}: ${html}`)"""


@pytest.fixture(scope="session")
def paths(
    idle_parts: Any,
    stack: Stack,
    result_path: str,
    shared_path: str,
    shared_batch_path: str,
    batch_url: str,
    comparison_path: str,
    collected_path: str,
    taught_path: str,
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
        "collections": "/collections",
        "collection": collected_path.partition("/pictures/")[0],
        "to correct": f"{collected_path.partition('/pictures/')[0]}?order=unsure",
        "collected": collected_path,
        "imported": collected_path.partition("/pictures/")[0],
        "admin": "/admin",
        "models": "/admin/models",
        "login": "/admin/login",
        "taught": taught_path,
        "teach": f"/admin/teach/new?collection={collected_path.split('/')[2]}",
        "teaching": "/admin/teach",
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
    return _shared(usual_context, result_path)


@pytest.fixture(scope="session")
def shared_batch_path(usual_context: BrowserContext, batch_url: str) -> str:
    """The path of a finished batch for those who were given its link."""
    return _shared(usual_context, batch_url)


@pytest.fixture(scope="session")
def collected_path(usual_context: BrowserContext, csrf_token: str, result_path: str) -> str:
    """The path of a picture in a collection."""
    page = usual_context.new_page()
    form: dict[str, str | float | bool] = {
        "csrf_token": csrf_token,
        "id": result_path.rpartition("/")[2],
        "name": "写真",
    }
    kept = page.request.post("/collections/keep", form=form)
    page.goto(kept.url)
    path = page.locator("main a[href*='/pictures/']").first.get_attribute("href")
    page.close()
    assert path
    return path


@pytest.fixture(scope="session")
def taught_path(stack: Stack, collected_path: str) -> str:
    """The path of a run of teaching."""
    local = LocalRedis(stack.data_dir / "redis")
    with connect(local.url) as connection:
        request = LessonRequest(collected_path.split("/")[2], "nanodet-g", "coins")
        id = Lessons(connection).enqueue(request, "写真")
    local.remove_socket_folder()
    return f"/admin/teach/{id}"


def _shared(context: BrowserContext, url: str) -> str:
    """Return the path of a link that is made on a page, for those who are given it."""
    page = context.new_page()
    page.goto(url)
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


@pytest.fixture
def look_at(
    open_page: Callable[..., Page],
    complaints: list[str],
    paths: dict[str, str],
    sign_in: Callable[[Page], None],
) -> Callable[..., Page]:
    """A function that opens a page by its name and waits until all of it is there."""

    def look_at(name: str, **options: Any) -> Page:
        page = open_page(paths[name], reduced_motion="reduce", **options)  # no colour is on its way
        complaints.clear()  # the browser's note that an unknown or failed detection is one
        if name in {"admin", "models", "taught", "teach", "teaching"}:
            sign_in(page)
            page.goto(paths[name])
        if name == "imported":
            export = page.request.get(f"{paths[name]}/exports/coco.zip").body()
            file = FilePayload(name="写.zip", mimeType="application/zip", buffer=export)
            page.locator("[name=dataset]").set_input_files(file)
            page.locator("form:has([name=dataset])").evaluate("form => form.submit()")
            page.wait_for_url("**/imports")
        settle(page)
        return page

    return look_at


def settle(page: Page) -> None:
    """Wait until the objects are drawn, where there are some."""
    frames = page.locator(".result-frame").count()
    if frames:
        page.locator(".result-shapes").nth(frames - 1).wait_for()


def test_every_page_is_looked_at() -> None:
    templates = Path(web.__file__).parent / "templates" / "pages"
    assert set(PAGES) == {path.stem for path in templates.glob("*.html")}


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_in_either_theme(look_at: Callable[..., Page], name: str) -> None:
    page = look_at(name, color_scheme="light", viewport=DESKTOP)
    check(page)
    page.emulate_media(color_scheme="dark")
    check(page)


@pytest.mark.parametrize("name", NAMES)
def test_a_narrow_phone_and_enlarged_text_leave_nothing_for_axe_and_all_for_fingers(
    look_at: Callable[..., Page], complaints: list[str], name: str
) -> None:
    page = look_at(name, color_scheme="dark", viewport=PHONE, has_touch=True, is_mobile=True)
    check(page)
    assert page.evaluate(_TOO_SMALL) == []
    page.emulate_media(color_scheme="light")
    check(page)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})  # as in the settings
    page.reload()
    complaints.clear()
    settle(page)
    assert page.evaluate("getComputedStyle(document.body).fontSize") == "32px"
    check(page)


def test_axe_finds_nothing_in_what_opens_and_appears(
    open_page: Callable[..., Page], paths: dict[str, str], pictures: Path
) -> None:
    page = open_page(viewport=PHONE, color_scheme="dark")
    page.set_input_files("#picture", [pictures / "park.jpg", pictures / "zoo.jpg"])
    page.locator(".home-options > summary").click()
    check(page)
    page.get_by_role("button", name="Detect objects").click()
    page.get_by_text("Download all").click()
    check(page)
    page = open_page(paths["history"], viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
    page.get_by_role("checkbox", name="Select").first.check()
    page.get_by_text("Export", exact=True).click()
    check(page)
    assert page.evaluate(_TOO_SMALL) == []
    page.keyboard.press("Escape")
    page.locator("#selection").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").wait_for()
    check(page)
    assert page.evaluate(_TOO_SMALL) == []
    page.get_by_role("button", name="Undo").click()
    comparison = open_page(paths["comparison"], viewport=PHONE, has_touch=True, is_mobile=True)
    settle(comparison)
    comparison.get_by_text("All classes").click()
    check(comparison)
    assert comparison.evaluate(_TOO_SMALL) == []
    crowd = open_page(paths["crowd"], viewport=PHONE)
    crowd.locator(".result-shapes").wait_for()
    crowd.locator("[role=option]").first.click()
    crowd.get_by_role("button", name="Compare").click()
    crowd.get_by_text("Export", exact=True).click()
    check(crowd)


_TOO_WIDE = """() => document.documentElement.scrollWidth <= screen.width ? [] : [
    `${document.documentElement.scrollWidth} of ${screen.width}`,
    ...[...document.querySelectorAll("main *, header *, footer *")]
      .filter((one) => one.getBoundingClientRect().right > screen.width + 1)
      .filter((one) => !one.closest(".api-scroller, .operator-scroller, .visually-hidden"))
      .map((one) => one.outerHTML.slice(0, 120)).slice(0, 8)]"""


def check(page: Page) -> None:
    """Fail where axe finds something, or the page is wider than its window."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm install")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    violations = page.evaluate(
        "rules => axe.run({ runOnly: rules }).then(r => r.violations.map(v => "
        "`${v.id}: ${v.nodes.map(n => n.html).join(' | ')}`))",
        _RULES,
    )
    assert violations == []
    wide = page.evaluate(_TOO_WIDE)
    assert wide == [], "it scrolls sideways"
