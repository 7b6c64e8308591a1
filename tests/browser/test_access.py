"""The pages are checked by axe-core, in light and dark, on a phone and on a desktop."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


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
    ],
)
def test_axe_finds_nothing(
    open_page: Callable[..., Page],
    complaints: list[str],
    result_path: str,
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
    page.evaluate(AXE.read_text())
    violations = page.evaluate(
        "rules => axe.run({ runOnly: rules }).then(r => r.violations.map(v => "
        "`${v.id}: ${v.nodes.map(n => n.html).join(' | ')}`))",
        _RULES,
    )
    assert violations == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
