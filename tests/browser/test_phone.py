"""Pages on a phone: within a narrow screen, with targets for fingers."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Page]

# What stands within a sentence may be as low as its line (WCAG 2.5.5, inline).
_TOO_SMALL = """() => [...document.querySelectorAll(
    "a[href], button, summary, select, [type=range], [type=text], label:has(input), [role=option]"
  )].filter((one) => !one.closest("p, dd, .skip") && one.checkVisibility({ opacityProperty: true }))
    .map((one) => [one.outerHTML.slice(0, 90), one.getBoundingClientRect()])
    .filter(([, { width, height }]) => width < 43.5 || height < 43.5)
    .map(([html, { width, height }]) => `${width} x ${height}: ${html}`)"""


@pytest.fixture
def phone(open_page: OpenPage) -> Callable[[str], Page]:
    """A function that opens a page on the narrowest phone."""
    return lambda path: open_page(
        path, viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True, device_scale_factor=2
    )


def test_a_result_fits_a_narrow_phone_and_fingers(phone: Callable[[str], Page], result_path: str) -> None:
    page = phone(result_path)
    page.locator(".result-shapes").wait_for()
    page.get_by_text("Export", exact=True).tap()
    assert page.evaluate(_TOO_SMALL) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_two_results_fit_them_too(phone: Callable[[str], Page], comparison_path: str) -> None:
    page = phone(comparison_path)
    page.locator(".result-shapes").last.wait_for()
    assert page.evaluate(_TOO_SMALL) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize("path", ["/", "/history", "/about", "/admin/login"])
def test_the_other_pages_fit_them_too(phone: Callable[[str], Page], result_path: str, path: str) -> None:
    page = phone(path)
    assert page.evaluate(_TOO_SMALL) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_a_tapped_row_brings_its_object_into_view(phone: Callable[[str], Page], result_path: str) -> None:
    page = phone(result_path)
    page.locator(".result-shapes").wait_for()
    row = page.locator("[role=option]:visible").last
    row.scroll_into_view_if_needed()
    expect(page.locator(".result-frame")).not_to_be_in_viewport()
    row.tap()
    expect(page.locator(".result-shape.lit")).to_be_in_viewport()
    wait_until(
        lambda: page.locator(".result-frame").evaluate("one => one.getBoundingClientRect().top >= 0"), 10
    )
