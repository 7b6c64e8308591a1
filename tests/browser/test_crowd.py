"""The result page with a hundred outlined objects: masks, comparison, and all that becomes hard with many."""

from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, Page, expect

pytestmark = pytest.mark.slow

OpenPage = Callable[..., Page]

SHOWN = ".result-shape:not([hidden])"


@pytest.fixture
def crowd(open_page: OpenPage, crowd_url: str) -> Page:
    """The page of a crowd."""
    page = open_page(crowd_url, viewport={"width": 1280, "height": 800})
    page.locator(".result-shapes").wait_for()
    return page


def test_every_object_has_its_mask_and_its_row(crowd: Page) -> None:
    expect(crowd.locator(f"{SHOWN} .result-mask")).to_have_count(100)
    expect(crowd.locator("[role=option]:visible")).to_have_count(100)
    expect(crowd.get_by_role("heading", level=1)).to_have_text("100 objects found")
    first = crowd.locator("[role=option]").first
    expect(first).to_contain_text("99%")
    expect(first.locator(".result-instance-facts")).to_contain_text(" at ")
    expect(first.locator(".result-instance-area")).to_contain_text(" px")


def test_masks_lie_within_their_boxes(crowd: Page) -> None:
    apart = crowd.locator(SHOWN).evaluate_all(
        """groups => groups.filter(g => {
          const box = g.querySelector(".result-area").getBBox();
          const mask = g.querySelector(".result-mask").getBBox();
          return mask.x < box.x - 2 || mask.y < box.y - 2 || mask.x + mask.width > box.x + box.width + 2
            || mask.y + mask.height > box.y + box.height + 2 || mask.width < box.width / 3;
        }).length"""
    )
    assert apart == 0


def test_labels_hide_neither_each_other_nor_half_of_anothers_box(crowd: Page) -> None:
    hidden = crowd.evaluate(
        """() => {
          const area = (e) => e.getBoundingClientRect();
          const common = (a, b) =>
            Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
            Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
          const boxes = [...document.querySelectorAll(".result-shape:not([hidden])")]
            .map((g) => [Number(g.dataset.index), area(g.querySelector(".result-area"))]);
          const labels = [...document.querySelectorAll(".result-label")]
            .map((label, i) => [i, label]).filter(([, label]) => !label.hidden);
          let worst = 0, together = 0;
          for (const [i, label] of labels) {
            for (const [j, box] of boxes) {
              if (i !== j) worst = Math.max(worst, common(area(label), box) / (box.width * box.height));
            }
            for (const [j, other] of labels) {
              if (j < i) together = Math.max(together, common(area(label), area(other)));
            }
          }
          return { labels: labels.length, worst, together };
        }"""
    )
    assert hidden["labels"] > 30
    assert hidden["worst"] < 0.55
    assert hidden["together"] < 1


def test_switches_for_boxes_masks_and_labels_hide_what_they_name(crowd: Page) -> None:
    for name, part in (("Boxes", ".result-outline"), ("Masks", ".result-mask"), ("Labels", ".result-label")):
        expect(crowd.locator(f"{part}:visible")).not_to_have_count(0)
        crowd.get_by_role("checkbox", name=name).uncheck()
        expect(crowd.locator(f"{part}:visible")).to_have_count(0)
    crowd.wait_for_url("**?hide=boxes&hide=masks&hide=labels")
    crowd.locator("[role=option]").first.hover()
    expect(crowd.locator(".result-shape.lit .result-outline")).to_be_visible()


def test_the_divider_parts_the_bare_picture_from_the_drawn_one(crowd: Page) -> None:
    compare = crowd.get_by_role("button", name="Compare with the original")
    divider = crowd.get_by_role("slider", name="Comparison position")
    expect(divider).to_have_count(0)
    compare.focus()
    crowd.keyboard.press("Enter")
    expect(divider).to_be_focused()
    expect(divider).to_have_attribute("aria-valuenow", "50")
    for key, place in (("ArrowRight", "52"), ("PageDown", "42"), ("Home", "0"), ("End", "100")):
        crowd.keyboard.press(key)
        expect(divider).to_have_attribute("aria-valuenow", place)
        expect(divider).to_have_attribute("aria-valuetext", f"{place}% of the width")
    expect(crowd.locator(".result-overlay")).to_have_css("clip-path", "inset(0px 0px 0px 100%)")
    crowd.keyboard.press("Escape")
    expect(compare).to_be_focused()
    expect(divider).to_have_count(0)
    expect(crowd.locator(".result-overlay")).to_have_css("clip-path", "none")


def test_the_divider_follows_the_pointer_and_leaves_the_picture_where_it_is(crowd: Page) -> None:
    crowd.get_by_role("button", name="Zoom in").click()
    crowd.get_by_role("button", name="Compare with the original").click()
    divider = crowd.get_by_role("slider", name="Comparison position")
    view = crowd.locator(".result-shapes").get_attribute("viewBox")
    frame, grip = crowd.locator(".result-frame").bounding_box(), crowd.locator(".result-grip").bounding_box()
    assert frame is not None
    assert grip is not None
    crowd.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    crowd.mouse.down()
    crowd.mouse.move(frame["x"] + frame["width"] / 4, frame["y"] + 20, steps=5)
    crowd.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "25")
    assert crowd.locator(".result-shapes").get_attribute("viewBox") == view
    expect(crowd.locator("[aria-selected=true]")).to_have_count(0)


def test_keys_lead_to_the_pixels_of_the_picture_and_back(crowd: Page) -> None:
    crowd.locator(".result-frame").focus()
    level = crowd.get_by_label("Zoom", exact=True)
    fit = level.inner_text()
    crowd.keyboard.press("1")
    expect(level).to_have_text("100%")
    for _ in range(20):
        crowd.keyboard.press("+")
    expect(level).to_have_text("1600%")
    expect(crowd.locator(".result-frame .result-picture")).to_have_css("image-rendering", "pixelated")
    crowd.keyboard.press("0")
    expect(level).to_have_text(fit)
    crowd.locator(".result-frame").dblclick(position={"x": 5, "y": 5})
    expect(level).not_to_have_text(fit)


def test_two_fingers_zoom_the_picture_and_one_moves_it(open_page: OpenPage, crowd_url: str) -> None:
    page = open_page(crowd_url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.locator(".result-shapes").wait_for()
    page.locator(".result-frame").scroll_into_view_if_needed()
    area = page.locator(".result-frame").bounding_box()
    assert area is not None
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    fingers = Fingers(page)
    fingers.move([(x - 20, y), (x + 20, y)], [(x - 100, y), (x + 100, y)])
    expect(page.locator(".result-frame")).to_have_class("result-frame zoomed")
    assert page.evaluate("visualViewport.scale") == 1, "the page itself was zoomed"
    width = _view(page)[2]
    assert width < 1000
    left = _view(page)[0]
    fingers.move([(x, y)], [(x - 80, y)])
    assert _view(page)[0] > left
    assert _view(page)[2] == pytest.approx(width)


def test_a_phones_menu_lies_within_its_screen(open_page: OpenPage, crowd_url: str) -> None:
    page = open_page(crowd_url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.get_by_text("Export", exact=True).tap()
    panel = page.locator(".menu-panel:visible").bounding_box()
    assert panel is not None
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= 390


class Fingers:
    """Touches as the browser gets them from a screen."""

    def __init__(self, page: Page) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)

    def move(self, start: list[tuple[float, float]], end: list[tuple[float, float]]) -> None:
        """Put fingers down, move them in ten steps, and lift them."""
        for step in range(11):
            places = [
                (x1 + (x2 - x1) * step / 10, y1 + (y2 - y1) * step / 10)
                for (x1, y1), (x2, y2) in zip(start, end, strict=True)
            ]
            self._touch("touchMove" if step else "touchStart", places)
        self._touch("touchEnd", [])

    def _touch(self, kind: str, places: list[tuple[float, float]]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def _view(page: Page) -> list[float]:
    """Return the part of the picture that is shown: x, y, width, height."""
    return [
        float(number) for number in (page.locator(".result-shapes").get_attribute("viewBox") or "").split()
    ]
