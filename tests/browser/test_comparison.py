"""Two results side by side, in a real browser: one view of both, and the way through what differs."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Page]


@pytest.fixture
def comparison(open_page: OpenPage, comparison_path: str) -> Page:
    page = open_page(comparison_path)
    page.locator(".comparison-stages .result-shapes").nth(1).wait_for()
    return page


def numbers(page: Page) -> list[int]:
    """Return how many are in the left result alone, in the right one alone, labelled otherwise, in both."""
    return [int(text) for text in page.locator(".comparison-number").all_inner_texts()]


def moved(page: Page) -> list[str]:
    """Return where both pictures lie in their frames."""
    pictures = page.locator(".result-picture").all()
    return [str(one.evaluate("one => one.style.transform")) for one in pictures]


def test_both_pictures_move_and_zoom_as_one(comparison: Page) -> None:
    at_first = moved(comparison)[0]
    left, right = (comparison.locator(".result-frame").nth(i) for i in range(2))
    left.dblclick(position={"x": 200, "y": 100})
    assert len(set(moved(comparison))) == 1
    assert moved(comparison)[0] != at_first
    right.focus()
    right.press("ArrowRight")
    right.press("-")
    assert len(set(moved(comparison))) == 1
    comparison.get_by_role("button", name="Fit to window").click()
    assert moved(comparison) == [at_first] * 2
    assert comparison.locator(".result-shapes").evaluate_all(
        "all => all[0].viewBox.baseVal.width === all[1].viewBox.baseVal.width"
    )


def test_the_minimum_score_acts_on_both_at_once_and_is_in_the_address(comparison: Page) -> None:
    left, right, other, same = numbers(comparison)
    assert (left, right, other) == (1, 0, 1)
    slider = comparison.get_by_role("slider", name="Minimum score")
    slider.fill("60")
    above = numbers(comparison)
    # What a person drew has a score of 1: the left result alone loses objects.
    assert above[1] > 0
    assert sum(above[1:]) == right + other + same
    comparison.wait_for_url("**?score=0.6")
    assert numbers(comparison) == above
    comparison.reload()
    comparison.locator(".comparison-stages .result-shapes").nth(1).wait_for()
    assert numbers(comparison) == above
    drawn = comparison.locator(".result-drawn").first
    assert "score=0.6" in (drawn.get_attribute("src") or "")


def test_chosen_classes_act_on_both_at_once_and_are_in_the_address(comparison: Page) -> None:
    comparison.get_by_text("All classes").click()
    row = comparison.get_by_role("row", name="truck")
    assert row.get_by_role("cell").all_inner_texts() == ["0", "1"]
    row.get_by_role("checkbox").check()
    # What the left result calls a car is that truck.
    assert numbers(comparison) == [0, 0, 1, 0]
    expect(comparison.locator(".comparison-count")).to_have_text(["1 object", "1 object"])
    expect(comparison.locator(".result-shape:not([hidden])")).to_have_count(2)
    comparison.wait_for_url("**?only=truck")
    assert "only=truck" in (comparison.locator("figcaption a").first.get_attribute("href") or "")
    comparison.reload()
    comparison.locator(".comparison-stages .result-shapes").nth(1).wait_for()
    assert numbers(comparison) == [0, 0, 1, 0]
    comparison.get_by_text("Classes: truck").click()
    row.get_by_role("checkbox").uncheck()
    assert numbers(comparison)[0] == 1


def test_keys_lead_from_difference_to_difference_which_is_lit_in_both(comparison: Page) -> None:
    at = comparison.locator(".comparison-at")
    expect(at).to_have_text("2 differences")
    comparison.keyboard.press("n")
    expect(at).to_have_text("1 of 2 differences")
    chosen = comparison.locator("[role=option][aria-selected=true]")
    expect(chosen).to_contain_text("truck")
    expect(comparison.locator(".result-shape.lit.other")).to_have_count(2)
    comparison.keyboard.press("n")
    expect(chosen).to_contain_text("car")
    expect(comparison.locator(".result-shape.lit")).to_have_count(1)
    expect(comparison.locator("[data-side=right] .comparison-ghost")).to_be_visible()
    comparison.keyboard.press("p")
    expect(at).to_have_text("1 of 2 differences")
    rows = comparison.locator("[data-kind=same] [role=option]")
    rows.first.focus()
    comparison.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    expect(comparison.locator(".result-shape.lit")).to_have_count(2)
    comparison.keyboard.press("Enter")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    comparison.keyboard.press("Escape")
    expect(chosen).to_have_count(0)


def test_without_scripts_both_drawn_pictures_and_the_lists_are_there(
    open_page: OpenPage, comparison_path: str
) -> None:
    page = open_page(comparison_path, java_script_enabled=False)
    for drawn in page.locator(".result-drawn").all():
        expect(drawn).to_be_visible()
    assert numbers(page)[0] == 1
    page.get_by_label("Minimum score").select_option("60%")
    page.get_by_role("button", name="Apply").click()
    assert numbers(page)[1] > 0
    expect(page.locator("[data-kind=other] li")).to_contain_text(["truck"])


def test_paper_has_both_drawn_pictures_and_the_lists(comparison: Page) -> None:
    comparison.locator(".result-frame").first.dblclick()
    comparison.emulate_media(media="print")
    for drawn in comparison.locator(".result-drawn").all():
        expect(drawn).to_be_visible()
        assert drawn.evaluate("one => getComputedStyle(one).transform") == "none"
    expect(comparison.locator(".result-overlay").first).to_be_hidden()
    expect(comparison.locator("[data-kind=other] li")).to_be_visible()
    expect(comparison.get_by_role("button", name="Swap sides")).to_be_hidden()


def test_on_a_phone_both_are_in_sight_and_a_tapped_row_shows_its_objects(
    open_page: OpenPage, comparison_path: str
) -> None:
    page = open_page(comparison_path, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.locator(".comparison-stages .result-shapes").nth(1).wait_for()
    row = page.locator("[data-kind=same] [role=option]").last
    row.scroll_into_view_if_needed()
    row.tap()
    for frame in page.locator(".result-frame").all():
        expect(frame).to_be_in_viewport(ratio=0.95)
    expect(page.locator(".result-shape.lit")).to_have_count(2)


def test_the_result_page_leads_to_the_comparison(open_page: OpenPage, comparison_path: str) -> None:
    page = open_page(comparison_path.partition("/compare/")[0])
    page.locator(".result-compared").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("nanodet-g (1) and nanodet-g (2)")
    page.get_by_role("link", name="Swap sides").click()
    page.locator(".comparison-stages .result-shapes").nth(1).wait_for()
    assert numbers(page)[:3] == [0, 1, 1]
