"""The pages are checked by axe-core, in light and dark, on a phone and on a desktop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from flask_detector.broker import connect
from flask_detector.keys import Keys, Scope
from flask_detector.local_redis import LocalRedis

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def sign_in(stack: Any) -> Callable[[Page], None]:
    """A function that signs in as an operator, on the page that asks for it."""

    def sign_in(page: Page) -> None:
        local = LocalRedis(stack.data_dir / "redis")
        with connect(local.url) as connection:
            _, key = Keys(connection).create("a test", Scope.ADMIN)
        local.remove_socket_folder()
        page.get_by_label("Administrator's key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Workers").wait_for()

    return sign_in


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [
        ("home", "light", 390),
        ("home", "dark", 1440),
        ("result", "light", 1440),
        ("result", "dark", 390),
        ("unknown", "dark", 390),
        ("history", "light", 390),
        ("about", "dark", 390),
        ("api/docs", "light", 390),
        ("api/docs", "dark", 1440),
        ("admin", "light", 1440),
        ("admin", "dark", 390),
        ("admin/login", "light", 390),
    ],
)
def test_axe_finds_nothing(
    open_page: Callable[..., Page],
    complaints: list[str],
    result_path: str,
    sign_in: Callable[[Page], None],
    name: str,
    scheme: str,
    width: int,
) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm install")
    paths = {"home": "/", "result": result_path, "unknown": f"/detections/{'0' * 32}"}
    path = paths.get(name, f"/{name}")
    page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 900})
    complaints.clear()  # the browser's note that an unknown detection is one
    if name == "result":
        page.locator(".shapes").wait_for()
    if name == "admin":
        sign_in(page)
    page.evaluate(AXE.read_text())
    violations = page.evaluate(
        "rules => axe.run({ runOnly: rules }).then(r => r.violations.map(v => "
        "`${v.id}: ${v.nodes.map(n => n.html).join(' | ')}`))",
        _RULES,
    )
    assert violations == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
