"""From a picture to its download without a pointer."""

from pathlib import Path

from playwright.sync_api import Page, expect


def tab_to(page: Page, selector: str, *, limit: int = 40) -> None:
    """Press Tab until that element has the focus, which must be visible."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            outline = page.evaluate(
                """() => [document.activeElement, document.activeElement.closest("label")].some((e) =>
                  e && getComputedStyle(e).outlineStyle !== "none")"""
            )
            assert outline, f"the focus on {selector} can't be seen"
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_keys_alone_lead_from_a_picture_to_its_download(page: Page, pictures: Path) -> None:
    # Being listened for, the file chooser is caught from here on: expect_file_chooser() asks for that, but
    # does not wait until it is so, and the key can be faster.
    page.on("filechooser", lambda chooser: None)
    tab_to(page, "#picture")
    with page.expect_file_chooser() as choosing:
        page.keyboard.press("Space")
    choosing.value.set_files(pictures / "apartment.jpg")
    expect(page.get_by_role("button", name="Detect objects")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator(".result-shapes").wait_for()
    tab_to(page, ".menu summary")
    page.keyboard.press("Enter")
    tab_to(page, "a[data-copy=json]")
    with page.expect_download() as downloading:
        page.keyboard.press("Enter")
    assert downloading.value.suggested_filename == "apartment.json"
    tab_to(page, ".result-frame")
    page.keyboard.press("+")
    expect(page.locator(".result-frame")).to_have_class("result-frame zoomed")
    tab_to(page, "[name=labels]")
    page.keyboard.press("Space")
    expect(page.locator(".result-label:visible")).to_have_count(0)
    tab_to(page, "[name=compare]")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".result-divider")).to_have_attribute("aria-valuenow", "48")
    tab_to(page, "#score")
    before = page.locator("[role=option]:visible").count()
    page.keyboard.press("Home")
    assert page.locator("[role=option]:visible").count() > before
    tab_to(page, ".result-classes input")
    page.keyboard.press("Space")
    expect(page.locator(".result-classes input").first).not_to_be_checked()
    tab_to(page, "[role=option]", limit=60)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".result-picked")).to_contain_text("pixels at")
