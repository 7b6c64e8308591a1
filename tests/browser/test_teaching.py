"""An operator teaches a model in a browser, with a real worker and a real, if small, training."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from flask_detector.api_keys import Keys, Scope
from flask_detector.broker.connection import connect
from flask_detector.process.extras import missing_for_teaching
from tests.support import lessons
from tests.support.datasets import zipped
from tests.support.parts import Parts
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing_for_teaching()), reason="what teaching needs is not installed"),
]

SECONDS = 1000
LONG = 240 * SECONDS


@pytest.fixture(scope="module")
def parts(start_parts: Callable[..., Parts]) -> Parts:
    return start_parts()


@pytest.fixture
def start_worker(parts: Parts) -> Iterator[Callable[[int], None]]:
    """A function that starts a worker which teaches in so many steps, and ends with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(steps: int) -> None:
        program = [sys.executable, "-m", "tests.support.small_teaching_worker"]
        running.append(subprocess.Popen(program, env={**parts.environment, "LESSON_STEPS": str(steps)}))

    yield start
    for process in running:
        process.terminate()
        process.wait(30)


@pytest.fixture
def collection(open_page: Callable[..., Page], parts: Parts, tmp_path: Path) -> Page:
    """The page of a collection of eight pictures, whose visitor has signed in as an operator."""
    page = open_page(f"{parts.url}/admin/login")
    with connect(parts.environment["REDIS_URL"]) as connection:
        _, key = Keys(connection).create("a test", Scope.ADMIN)
    if page.get_by_label("Admin key").count():  # else another page of this browser has signed in
        page.get_by_label("Admin key").fill(key)
        page.get_by_role("button", name="Sign in").click()
    page.goto(f"{parts.url}/collections")
    page.get_by_placeholder("Name of a new one").fill("Walls")
    page.get_by_role("button", name="Create").click()
    folder = lessons.coco(tmp_path / "walls", 8)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
    page.set_input_files("[name=dataset]", zipped(tmp_path / "walls.zip", files))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("8 pictures imported")).to_be_visible(timeout=LONG)
    page.goto(page.url.removesuffix("/imports"))
    return page


def wait_for_a_worker(page: Page) -> None:
    """Load the page again until a worker is there that can teach."""
    wait_until(lambda: "Teaching needs PyTorch" not in page.request.get(page.url).text(), 120)
    page.reload()


def test_a_model_is_taught_proven_added_and_used(
    collection: Page, start_worker: Callable[[int], None], parts: Parts
) -> None:
    page = collection
    page.get_by_role("link", name="Teach").click()
    expect(page.get_by_role("button", name="Teach", exact=True)).to_be_disabled()
    expect(page.get_by_text("Teaching needs PyTorch")).to_be_visible()
    start_worker(2)
    wait_for_a_worker(page)
    estimate = page.locator("#estimate")
    expect(estimate).to_contain_text("in 3 parts")
    page.get_by_label("tile").uncheck()
    expect(estimate).not_to_contain_text("tile")
    expect(estimate).to_contain_text("Only 8 bricks")
    page.get_by_label("Name of the new model").fill("walls")
    page.get_by_role("button", name="Teach", exact=True).click()

    # It is followed without touching the page.
    expect(page.locator("#run")).to_contain_text("% learned", timeout=LONG)
    expect(page.locator(".teach-chart path.teach-loss")).to_have_attribute("d", re.compile("^M"))
    expect(page.get_by_role("button", name="Add to the models")).to_be_visible(timeout=LONG)
    expect(page.locator("#run")).to_contain_text("Learned from8 pictures")
    expect(page.locator(".teach-proof li")).to_have_count(8)
    page.locator(".teach-proof img").first.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.teach-proof img').naturalWidth > 0")

    page.get_by_role("button", name="Add to the models").click()
    expect(page.get_by_role("link", name="Added to the models")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("link", name="What to correct next")).to_be_visible()
    page.get_by_role("link", name="Teaching").click()
    expect(page.locator("#runs")).to_contain_text("Done, added")

    # It detects, and the result says which model it is of.
    sent = page.request.post(
        f"{parts.url}/api/v1/detections?model=walls", data=lessons.picture(99)[0],
        headers={"Content-Type": "image/png", "Prefer": "wait=60"}, timeout=LONG,
    )  # fmt: skip
    assert sent.json()["result"]["model"] == "walls"
    page.goto(f"{parts.url}/detections/{sent.json()['id']}")
    expect(page.locator("main")).to_contain_text("walls")


def test_a_run_is_cancelled_while_it_learns_and_leaves_nothing(
    collection: Page, start_worker: Callable[[int], None]
) -> None:
    page = collection
    start_worker(10_000)
    page.get_by_role("link", name="Teach").click()
    wait_for_a_worker(page)
    page.get_by_label("Name of the new model").fill("never")
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#run")).to_contain_text("% learned", timeout=LONG)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#run")).to_contain_text("Cancelled")
    expect(page.get_by_role("link", name="Teach again")).to_be_visible()
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete the run").click()
    expect(page.locator("#runs")).not_to_contain_text("never")
