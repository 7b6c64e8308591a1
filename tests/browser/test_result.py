"""The result page as an instrument: what acts on what."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.waiting import wait_until

OpenPage = Callable[..., Page]


@pytest.fixture
def result(open_page: OpenPage, result_path: str) -> Page:
    """The page of a finished detection."""
    page = open_page(result_path)
    page.locator(".result-shapes").wait_for()
    return page


def test_pointing_at_a_row_lights_its_instance_and_the_other_way_round(result: Page) -> None:
    row = result.locator("[role=option]:visible").nth(1)
    row.hover()
    expect(result.locator(".result-shape.lit")).to_have_attribute("data-index", "1")
    expect(result.locator(".result-label.lit")).to_be_visible()
    result.get_by_role("heading", level=1).hover()
    expect(result.locator(".result-shape.lit")).to_have_count(0)
    result.locator('.result-shape[data-index="1"] .result-area').dispatch_event("pointerover")
    expect(row).to_have_class("lit")


def test_the_score_acts_at_once_on_picture_list_and_counts(result: Page) -> None:
    slider = result.get_by_role("slider", name="Minimum score")
    usual = result.locator("[role=option]:visible").count()
    assert [slider.get_attribute(limit) for limit in ("min", "max")] == ["0", "100"]
    slider.fill("0")
    assert result.locator("[role=option]:visible").count() > usual
    slider.fill("50")
    scores = [
        int(text.rstrip("%")) for text in result.locator(".result-instance-score:visible").all_inner_texts()
    ]
    assert min(scores) >= 50
    assert 0 < len(scores) < usual
    assert result.locator(".result-shape:not([hidden])").count() == len(scores)
    counts = result.locator(".result-class-count:visible").all_inner_texts()
    assert sum(map(int, counts)) == len(scores)


def test_a_score_above_all_objects_says_so(result: Page) -> None:
    slider = result.get_by_role("slider", name="Minimum score")
    bars = result.locator(".score-bars rect")
    expect(bars.and_(result.locator(".low"))).not_to_have_count(bars.count())
    slider.fill("100")
    highest = result.locator(".result-instance-score").first.inner_text()
    expect(result.locator(".result-score")).to_contain_text("Above all objects: the highest score is")
    expect(bars.and_(result.locator(".low"))).to_have_count(bars.count())
    expect(result.get_by_role("heading", level=1)).to_have_text("No objects found")
    slider.fill(str(int(highest.rstrip("%")) - 1))
    expect(result.locator(".result-above")).to_be_hidden()


def test_a_class_that_is_switched_off_is_in_neither_picture_nor_list(result: Page) -> None:
    first = result.locator(".result-classes li:visible").first
    label = first.get_attribute("data-label") or ""
    first.get_by_role("checkbox").uncheck()
    assert label not in result.locator(".result-instance-label:visible").all_inner_texts()
    result.get_by_role("button", name="None").click()
    expect(result.locator(".result-shape:not([hidden])")).to_have_count(0)
    result.get_by_role("button", name="All").click()
    expect(first.get_by_role("checkbox")).to_be_checked()
    expect(result.locator(".result-shape:not([hidden])")).not_to_have_count(0)


def test_the_address_shows_what_its_sender_saw(result: Page, open_page: OpenPage) -> None:
    result.get_by_role("slider").fill("45")
    result.locator(".result-classes li:visible").first.get_by_role("checkbox").uncheck()
    result.get_by_role("checkbox", name="Labels").uncheck()
    seen = result.locator(".result-instances li:visible").all_inner_texts()
    result.wait_for_url("**hide=labels")
    other = open_page(result.url)
    other.locator(".result-shapes").wait_for()
    assert other.locator(".result-instances li:visible").all_inner_texts() == seen
    expect(other.get_by_role("checkbox", name="Labels")).not_to_be_checked()
    expect(other.locator(".result-label:visible")).to_have_count(0)


def test_what_is_taken_away_is_what_is_shown(result: Page) -> None:
    result.get_by_role("slider").fill("45")
    result.locator(".result-classes li:visible").first.get_by_role("checkbox").uncheck()
    result.get_by_text("Export", exact=True).click()
    with result.expect_download() as downloading:
        result.get_by_role("link", name="CSV").click()
    lines = downloading.value.path().read_text().splitlines()
    assert len(lines) - 1 == result.locator("[role=option]:visible").count()
    expect(result.get_by_role("link", name="CSV")).to_be_hidden()
    assert "score=0.45&off=" in (result.get_by_role("link", name="Download").get_attribute("href") or "")


def test_labels_keep_their_size_and_never_hide_each_other(result: Page) -> None:
    for _ in range(3):
        areas = result.locator(".result-label:visible").evaluate_all(
            "labels => labels.map(l => { const r = l.getBoundingClientRect(); "
            "return [r.left, r.top, r.right, r.bottom] })"
        )
        assert areas
        assert {round(bottom - top) for _, top, _, bottom in areas} == {20}
        for i, (left, top, right, bottom) in enumerate(areas):
            for other in areas[:i]:
                apart_x = other[2] <= left + 0.5 or right <= other[0] + 0.5
                apart_y = other[3] <= top + 0.5 or bottom <= other[1] + 0.5
                assert apart_x or apart_y
        result.get_by_role("button", name="Zoom in").click()


@pytest.mark.parametrize("way", ["wheel", "keys", "button"])
def test_boxes_stay_on_their_objects_while_zooming(result: Page, way: str) -> None:
    frame = result.locator(".result-frame")
    before = _corner_in_picture(result)
    match way:
        case "wheel":
            frame.hover(position={"x": 120, "y": 90})
            result.keyboard.down("Control")
            result.mouse.wheel(0, -120)
            result.keyboard.up("Control")
        case "keys":
            frame.focus()
            result.keyboard.press("+")
            result.keyboard.press("ArrowRight")
        case "button":
            result.get_by_role("button", name="Zoom in").click()
    expect(frame).to_have_class("result-frame zoomed")
    after = _corner_in_picture(result)
    assert after == pytest.approx(before, abs=0.02)
    result.get_by_role("button", name="Fit to window").click()
    expect(frame).to_have_class("result-frame")


def test_dragging_moves_a_zoomed_picture_and_chooses_nothing(result: Page) -> None:
    result.get_by_role("button", name="Zoom in").click(click_count=3)
    shapes = result.locator(".result-shapes")
    before = shapes.get_attribute("viewBox")
    area = result.locator(".result-frame").bounding_box()
    assert area is not None
    result.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    result.mouse.down()
    result.mouse.move(area["x"] + 100, area["y"] + 80, steps=4)
    result.mouse.up()
    assert shapes.get_attribute("viewBox") != before
    expect(result.locator("[aria-selected=true]")).to_have_count(0)
    result.get_by_role("button", name="Fit to window").click()
    result.locator(".result-shape:not([hidden]) .result-area").last.click()
    expect(result.locator("[aria-selected=true]")).to_have_count(1)


def test_the_picture_has_its_place_before_it_is_there(open_page: OpenPage, result_path: str) -> None:
    page = open_page(result_path)
    page.locator(".result-shapes").wait_for()
    shift = page.evaluate(
        """new Promise((resolve) => new PerformanceObserver((list) =>
          resolve(list.getEntries().reduce((sum, entry) => sum + entry.value, 0))
        ).observe({ type: "layout-shift", buffered: true }) ?? setTimeout(resolve, 200, 0))"""
    )
    assert shift < 0.1, "what is over 0.1 people find unsteady (Web Vitals, CLS)"


def test_the_wheel_scrolls_the_page_past_a_picture_that_nobody_zoomed(result: Page) -> None:
    result.set_viewport_size({"width": 700, "height": 500})
    result.locator(".result-frame").hover()
    result.mouse.wheel(0, 200)
    # Not wait_for_function(): what it repeats in the page, the page's policy forbids as eval.
    wait_until(lambda: result.evaluate("scrollY > 100"), 10)
    expect(result.locator(".result-frame")).to_have_class("result-frame")


def test_the_list_is_one_stop_for_the_tab_key_and_arrows_go_through_it(result: Page) -> None:
    result.get_by_role("button", name="None").focus()
    for _ in range(result.locator(".result-classes li:visible").count() + 2):
        result.keyboard.press("Tab")
    rows = result.locator("[role=option]:visible")
    expect(rows.first).to_be_focused()
    result.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    expect(result.locator(".result-shape.lit")).to_have_attribute("data-index", "1")
    result.keyboard.press("Enter")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    result.keyboard.press("Escape")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "false")


def _corner_in_picture(page: Page) -> list[float]:
    """Return where the first box's top left corner lies on the shown image, in shares of its size."""
    corner: list[float] = page.evaluate(
        """() => {
          const image = document.querySelector(".result-picture").getBoundingClientRect();
          const box = document.querySelector('[data-index="0"] .result-area').getBoundingClientRect();
          return [(box.left - image.left) / image.width, (box.top - image.top) / image.height];
        }"""
    )
    return corner


def test_a_page_whose_result_was_corrected_after_it_was_made_is_loaded_again(result: Page) -> None:
    number = result.locator(".result-shape").count()
    corrections: list[object] = []

    def answer(route: Route) -> None:
        if corrections:
            route.continue_()
            return
        corrected = route.fetch().json()
        corrections.append(corrected["instances"].pop())
        route.fulfill(json=corrected)

    result.route("**/result.json*", answer)
    result.reload()
    expect(result.locator(".result-shape")).to_have_count(number)
    assert len(corrections) == 1
