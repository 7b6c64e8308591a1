"""Pages on a phone; that they fit it and fingers is checked in test_access.py."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Page]


@pytest.fixture
def phone(open_page: OpenPage) -> Callable[[str], Page]:
    """A function that opens a page on the narrowest phone."""
    return lambda path: open_page(
        path, viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True, device_scale_factor=2
    )


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
