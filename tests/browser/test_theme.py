"""The switch for light and dark, on every page."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]

LIGHT, DARK = "rgb(246, 247, 246)", "rgb(17, 20, 22)"


def test_a_chosen_theme_is_remembered_until_the_systems_is_chosen_again(open_page: OpenPage) -> None:
    page = open_page(color_scheme="light")
    body = page.locator("body")
    switch = page.get_by_role("button", name="Dark theme")
    expect(body).to_have_css("background-color", LIGHT)
    switch.click()
    expect(body).to_have_css("background-color", DARK)
    expect(switch).to_have_attribute("aria-pressed", "true")
    page.goto("/about")
    assert 'data-theme="dark"' in page.content(), "the server says so, before any script runs"
    expect(body).to_have_css("background-color", DARK)
    page.emulate_media(media="print")
    expect(page.locator("html")).to_have_css("color-scheme", "light")
    page.emulate_media(media="screen")
    switch.click()
    expect(body).to_have_css("background-color", LIGHT)
    assert not [cookie for cookie in page.context.cookies() if cookie["name"] == "theme"]
    page.emulate_media(color_scheme="dark")
    expect(body).to_have_css("background-color", DARK)


def test_without_scripts_the_pages_follow_the_system(open_page: OpenPage) -> None:
    page = open_page("/about", color_scheme="dark", java_script_enabled=False)
    expect(page.locator("body")).to_have_css("background-color", DARK)
    expect(page.get_by_role("button", name="Dark theme")).to_be_hidden()
