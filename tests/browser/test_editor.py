"""The editor on the result page: objects are changed by hand, by keys and by touch, and nothing is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.parts import Parts
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

OpenPage = Callable[..., Page]


@pytest.fixture
def editor(open_page: OpenPage, usual_context: BrowserContext, result_path: str, csrf_token: str) -> Page:
    """The editor, open on a result of its own."""
    visitor = usual_context.request
    again = visitor.post(f"{result_path}/again", form={"csrf_token": csrf_token}).url
    wait_until(lambda: bool(visitor.get(f"{again}/state").json()["final"]), 20)
    return opened(open_page(urlsplit(again).path))


def opened(page: Page) -> Page:
    """Return the page with its editor open."""
    page.get_by_role("button", name="Correct").wait_for()
    page.keyboard.press("e")
    page.locator("dialog.editor[data-ready]").wait_for()
    return page


def saved(page: Page) -> dict[str, Any]:
    """Return the document that the server has, as soon as the page says that it is saved."""
    expect(page.locator(".editor-status")).to_have_text("Saved")
    document: dict[str, Any] = page.evaluate(
        "async () => (await fetch(document.querySelector('dialog.editor').dataset.annotations)).json()"
    )
    return document


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a point of the picture is in the window."""
    left, top, scale = page.locator(".editor-frame > img").evaluate(
        "img => { const r = img.getBoundingClientRect(); return [r.left, r.top, r.width / img.width] }"
    )
    return left + x * scale, top + y * scale


def drag(page: Page, *points: tuple[float, float]) -> None:
    """Move the mouse through points of the picture with its button pressed."""
    page.mouse.move(*on_screen(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*on_screen(page, *point), steps=5)
    page.mouse.up()


def draw(page: Page, x1: float, y1: float, x2: float, y2: float) -> None:
    page.keyboard.press("w")
    drag(page, (x1, y1), (x2, y2))


def click(page: Page, x: float, y: float, **options: Any) -> None:
    page.mouse.click(*on_screen(page, x, y), **options)


def labels(document: dict[str, Any]) -> list[str]:
    return [one["label"] for one in document["objects"]]


def test_a_box_is_drawn_moved_resized_and_deleted_with_the_mouse(editor: Page) -> None:
    before = len(saved(editor)["objects"])
    draw(editor, 400, 60, 500, 160)
    drag(editor, (450, 110), (470, 130))
    drag(editor, (520, 180), (540, 200))  # its corner
    drag(editor, (420, 140), (410, 140))  # a side
    one = saved(editor)["objects"][-1]
    assert one["box"] == pytest.approx([410, 80, 540, 200], abs=2)
    assert (one["source"], one["score"]) == ("person", None)
    editor.keyboard.press("Delete")
    assert len(saved(editor)["objects"]) == before


def test_what_the_model_said_stays_beside_what_a_person_made_of_it(editor: Page) -> None:
    first = saved(editor)["objects"][0]
    editor.keyboard.press("Tab")
    editor.keyboard.press("ArrowRight")
    editor.keyboard.press("Control+ArrowDown")
    moved = saved(editor)["objects"][0]
    x1, y1, x2, y2 = first["box"]
    assert moved["box"] == pytest.approx([x1 + 1, y1 + 10, x2 + 1, y2 + 10])
    assert (moved["id"], moved["source"], moved["score"]) == (first["id"], "person", first["score"])
    editor.keyboard.press("Control+z")
    editor.keyboard.press("Control+z")
    assert saved(editor)["objects"][0] == first
    editor.keyboard.press("Control+Shift+Z")
    editor.keyboard.press("Control+Shift+Z")
    assert saved(editor)["objects"][0] == moved


@pytest.mark.parametrize("name", ["Kätzchen", "猫", "قطة", "a,b <i>&", "лиса"])
def test_typing_a_new_name_makes_a_class_in_any_script(editor: Page, name: str) -> None:
    editor.keyboard.press("Tab")
    editor.keyboard.press("Enter")
    editor.get_by_role("combobox", name="Class").fill(name)
    editor.keyboard.press("Enter")
    document = saved(editor)
    assert document["objects"][0]["label"] == name
    assert document["labels"][-1] == name
    expect(editor.locator(".editor-classes")).to_contain_text(name)
    editor.get_by_role("button", name="Done").click()
    expect(editor.locator(".result-classes")).to_contain_text(name)


def test_typing_completes_a_class_and_digits_choose_one(editor: Page) -> None:
    first = editor.locator(".editor-classes button").nth(1).get_attribute("value")
    editor.keyboard.press("Tab")
    editor.keyboard.press("2")
    assert labels(saved(editor))[0] == first
    editor.keyboard.press("Enter")
    editor.keyboard.type("dining")
    expect(editor.get_by_role("option", name="dining table")).to_have_attribute("aria-selected", "true")
    editor.keyboard.press("Enter")
    assert labels(saved(editor))[0] == "dining table"
    draw(editor, 400, 60, 500, 160)
    assert labels(saved(editor))[-1] == "dining table"


def test_keys_alone_draw_place_and_agree(editor: Page) -> None:
    count = len(saved(editor)["objects"])
    editor.keyboard.press("n")
    editor.keyboard.press("Enter")
    for key in ["Shift+ArrowRight", "Shift+ArrowDown", "ArrowLeft", "ArrowUp", "Space"]:
        editor.keyboard.press(key)
    one = saved(editor)["objects"][count]
    assert one["verified"]
    editor.keyboard.press("Control+d")
    assert len(saved(editor)["objects"]) == count + 2
    editor.keyboard.press("Escape")
    editor.keyboard.press("Space")
    assert saved(editor)["verified"]
    editor.keyboard.press("Escape")
    expect(editor.get_by_role("button", name="Done")).to_be_focused()


def test_tab_goes_through_the_objects_and_then_out_of_the_picture(editor: Page) -> None:
    count = len(saved(editor)["objects"])
    for number in range(count):
        editor.keyboard.press("Tab")
        expect(editor.locator(".editor-said")).to_contain_text(f"object {number + 1} of {count}")
    expect(editor.locator(".editor-frame")).to_be_focused()
    editor.keyboard.press("Tab")
    expect(editor.locator(".editor-frame")).not_to_be_focused()


def test_an_outline_is_drawn_and_its_corners_are_moved_added_and_removed(editor: Page) -> None:
    editor.keyboard.press("p")
    for corner in [(400, 60), (500, 64), (500, 160), (404, 160)]:
        click(editor, *corner)
    editor.keyboard.press("Enter")
    one = saved(editor)["objects"][-1]
    (ring,) = one["polygons"][0]
    assert [round(x) for point in ring for x in point] == pytest.approx(
        [400, 60, 500, 64, 500, 160, 404, 160], abs=2
    )
    drag(editor, (500, 160), (540, 190))
    assert saved(editor)["objects"][-1]["box"][2:] == pytest.approx([540, 190], abs=2)
    click(editor, 450, 62)
    assert len(saved(editor)["objects"][-1]["polygons"][0][0]) == 5
    click(editor, 450, 62, click_count=2)
    assert len(saved(editor)["objects"][-1]["polygons"][0][0]) == 4
    for key in [".", "ArrowLeft", ".", "i", "Control+ArrowUp"]:
        editor.keyboard.press(key)
    assert len(saved(editor)["objects"][-1]["polygons"][0][0]) == 5
    editor.keyboard.press("Delete")
    assert len(saved(editor)["objects"][-1]["polygons"][0][0]) == 4


def test_brush_and_eraser_change_the_pixels_of_an_object(editor: Page) -> None:
    editor.keyboard.press("b")
    drag(editor, (400, 100), (600, 100))
    one = saved(editor)["objects"][-1]
    assert one["mask"]
    assert "polygons" not in one
    x1, y1, x2, y2 = one["box"]
    assert (x1, x2) == pytest.approx((400 - (y2 - y1) / 2, 600 + (y2 - y1) / 2), abs=3)
    editor.keyboard.press("x")
    drag(editor, (620, 100), (520, 100))
    assert saved(editor)["objects"][-1]["box"][2] < 520
    editor.keyboard.press("b")
    drag(editor, (500, 200), (500, 100))
    assert saved(editor)["objects"][-1]["box"][3] > 200


def test_the_smallest_object_wins_a_click(editor: Page) -> None:
    draw(editor, 400, 60, 460, 120)
    draw(editor, 350, 20, 550, 220)
    editor.keyboard.press("Escape")
    click(editor, 430, 90)
    count = len(saved(editor)["objects"])
    expect(editor.locator(".editor-said")).to_contain_text(f"object {count - 1} of {count}")
    click(editor, 520, 200)
    expect(editor.locator(".editor-said")).to_contain_text(f"object {count} of {count}")


def test_an_edit_survives_a_reload_at_once_and_can_be_undone_after_it(editor: Page) -> None:
    count = len(saved(editor)["objects"])
    draw(editor, 400, 60, 500, 160)
    editor.reload()
    editor.locator("dialog.editor[data-ready]").wait_for()
    assert len(saved(editor)["objects"]) == count + 1
    editor.keyboard.press("Control+z")
    assert len(saved(editor)["objects"]) == count


def test_of_two_tabs_the_second_is_told_who_won_and_may_have_either(
    editor: Page, open_page: OpenPage, complaints: list[str]
) -> None:
    other = opened(open_page(editor.url.split("#")[0]))
    draw(editor, 400, 60, 500, 160)
    count = len(saved(editor)["objects"])
    draw(other, 100, 60, 200, 160)
    draw(other, 200, 60, 300, 160)
    dialog = other.get_by_role("dialog", name="Somebody else was first")
    expect(dialog).to_contain_text("changed meanwhile by")
    dialog.get_by_role("button", name="Go on with the saved version").click()
    assert len(saved(other)["objects"]) == count
    other.keyboard.press("Control+z")  # mine again
    assert len(saved(other)["objects"]) == count + 1
    draw(editor, 400, 260, 500, 360)
    dialog = editor.get_by_role("dialog", name="Somebody else was first")
    dialog.get_by_role("button", name="Save mine instead").click()
    mine = saved(editor)
    assert mine["objects"][-1]["box"] == pytest.approx([400, 260, 500, 360], abs=2)
    assert all("412" in complaint for complaint in complaints)
    complaints.clear()


def test_a_lost_connection_loses_nothing(editor: Page, complaints: list[str]) -> None:
    count = len(saved(editor)["objects"])
    editor.context.set_offline(True)
    draw(editor, 400, 60, 500, 160)
    expect(editor.locator(".editor-trouble")).to_contain_text("be reached")
    expect(editor.locator(".editor-status")).to_have_text("Not saved")
    draw(editor, 100, 60, 200, 160)
    editor.context.set_offline(False)
    assert len(saved(editor)["objects"]) == count + 2
    expect(editor.locator(".editor-trouble")).to_be_hidden()
    assert all("DISCONNECTED" in complaint for complaint in complaints)
    complaints.clear()


def test_fingers_select_move_and_zoom(open_page: OpenPage, result_path: str) -> None:
    page = opened(
        open_page(result_path, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    )
    box = saved(page)["objects"][0]["box"]
    x, y = on_screen(page, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    page.touchscreen.tap(x, y)
    expect(page.locator(".editor-said")).not_to_have_text("Nothing selected")
    sizes = page.locator(".editor button:visible").evaluate_all(
        "buttons => buttons.map(b => b.getBoundingClientRect()).map(r => Math.min(r.width, r.height))"
    )
    assert min(sizes) >= 44


def test_whoever_has_the_shared_link_sees_corrections_and_can_make_none(
    editor: Page, open_page: OpenPage
) -> None:
    editor.keyboard.press("Tab")
    editor.keyboard.press("Enter")
    editor.get_by_role("combobox", name="Class").fill("unicorn")
    editor.keyboard.press("Enter")
    saved(editor)
    editor.get_by_role("button", name="Done").click()
    editor.get_by_role("button", name="Make a link").click()
    link = editor.get_by_role("textbox", name="Link").input_value()
    other = open_page(link)
    expect(other.locator(".result-classes")).to_contain_text("unicorn")
    expect(other.get_by_role("button", name="Correct")).to_have_count(0)
    other.keyboard.press("e")
    expect(other.locator("dialog.editor")).to_have_count(0)


def test_a_and_d_lead_through_a_batch_and_each_picture_keeps_its_steps(
    open_page: OpenPage, batch_url: str
) -> None:
    page = open_page(batch_url)
    page.locator(".records a").first.click()
    opened(page)
    first = page.url
    count = len(saved(page)["objects"])
    draw(page, 100, 60, 200, 160)
    page.keyboard.press("d")
    page.wait_for_url(lambda url: url != first)
    page.locator("dialog.editor[data-ready]").wait_for()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.keyboard.press("a")
    page.wait_for_url(first)
    page.locator("dialog.editor[data-ready]").wait_for()
    assert len(saved(page)["objects"]) == count + 1
    page.keyboard.press("Control+z")
    assert len(saved(page)["objects"]) == count


def test_a_thousand_objects_can_be_edited(editor: Page) -> None:
    editor.evaluate(
        """async () => {
          const { annotations, token, width, height } = document.querySelector("dialog.editor").dataset;
          const objects = Array.from({ length: 1000 }, (_, i) => {
            const [x, y] = [(i % 40) * 24, Math.floor(i / 40) * 24];
            return { id: `p${i}`, label: `class ${i % 30}`, box: [x, y, x + 20, y + 20] };
          });
          const body = JSON.stringify({ version: 1, width: +width, height: +height, labels: [], objects });
          const headers = { "Content-Type": "application/json", "X-CSRFToken": token, "If-Match": "*" };
          const response = await fetch(annotations, { method: "PUT", headers, body });
          if (!response.ok) throw new Error(await response.text());
        }"""
    )
    editor.reload()
    editor.locator("dialog.editor[data-ready]").wait_for()
    drag(editor, (10, 10), (15, 15))
    document = saved(editor)
    assert document["objects"][0]["box"] == [5, 5, 25, 25]
    assert len(document["objects"]) == 1000
    editor.keyboard.press("Delete")
    assert len(saved(editor)["objects"]) == 999


def test_a_server_that_stops_while_saving_and_starts_again_has_it_all(
    start_parts: Callable[..., Parts], browser: Browser, pictures: Path
) -> None:
    parts = start_parts()
    url = parts.send((pictures / "apartment.jpg").read_bytes())
    parts.work_off()
    page = browser.new_page()
    page.goto(url)
    opened(page)
    parts.kill("web")
    draw(page, 400, 60, 500, 160)
    expect(page.locator(".editor-trouble")).to_contain_text("Your changes are kept in this browser")
    page.keyboard.press("Delete")
    draw(page, 300, 60, 380, 160)
    parts.start_web()
    # It tries by itself, too, and may have been first.
    has_saved = page.locator(".editor-status[data-state=saved]")
    page.get_by_role("button", name="Try now").or_(has_saved).first.click()
    assert saved(page)["objects"][-1]["box"] == pytest.approx([300, 60, 380, 160], abs=2)
    page.close()


def test_a_tab_that_was_closed_offline_is_saved_from_the_next_one(
    editor: Page, open_page: OpenPage, complaints: list[str]
) -> None:
    count = len(saved(editor)["objects"])
    url = editor.url
    editor.route("**/annotations", lambda route: route.abort())
    draw(editor, 400, 60, 500, 160)
    editor.locator(".editor-trouble").wait_for()
    editor.close()
    page = open_page(url)
    page.locator("dialog.editor[data-ready]").wait_for()
    assert len(saved(page)["objects"]) == count + 1
    assert all("ERR_FAILED" in complaint for complaint in complaints)
    complaints.clear()


def test_the_model_makes_a_mask_of_a_box_where_it_makes_masks(
    browser: Browser, idle_parts: Parts, crowd_url: str, editor: Page
) -> None:
    expect(editor.locator("[data-action=mask]")).to_have_count(0)
    page = browser.new_page()
    page.goto(crowd_url)
    opened(page)
    page.keyboard.press("Tab")
    before = saved(page)["objects"]
    mask = before[3]["mask"]
    page.route("**/annotations/mask", lambda route: route.fulfill(json={"mask": mask, "polygons": []}))
    with page.expect_request("**/annotations/mask") as asked:
        page.keyboard.press("m")
    assert asked.value.post_data_json == {"box": before[0]["box"], "label": before[0]["label"]}
    wait_until(lambda: saved(page)["objects"][0]["source"] == "person", 5)
    assert saved(page)["objects"][0]["mask"] == mask
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1440])
def test_axe_finds_nothing_in_the_open_editor(
    open_page: OpenPage, result_path: str, scheme: str, width: int
) -> None:
    page = opened(
        open_page(result_path, viewport={"width": width, "height": 700}, color_scheme=scheme, bypass_csp=True)
    )
    page.keyboard.press("Tab")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    find = "async () => (await axe.run()).violations.map(({ id, nodes }) => [id, nodes[0].html])"
    assert page.evaluate(find) == []
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Class").fill("c")
    assert page.evaluate(find) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    assert page.evaluate(find) == []
    assert page.evaluate("document.querySelector('dialog.editor').scrollWidth") == width


def test_enlarged_text_leaves_room_for_the_picture(open_page: OpenPage, result_path: str) -> None:
    page = opened(open_page(result_path, viewport={"width": 640, "height": 800}, bypass_csp=True))
    page.add_style_tag(content="html { font-size: 200% !important }")
    size = page.locator(".editor-stage").bounding_box()
    assert size is not None
    assert size["height"] > 200
    assert page.evaluate("document.querySelector('dialog.editor').scrollWidth") == 640
    page.get_by_role("button", name="Delete", exact=True).scroll_into_view_if_needed()
