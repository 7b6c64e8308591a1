"""An operator adds, tries and removes a model in a browser, with a real worker, and no picture is lost."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from flask_detector.api_keys import Keys, Scope
from flask_detector.broker.connection import connect
from tests.support.parts import Parts
from tests.support.small_models import write_small_rtmdet
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SECONDS = 1000


@pytest.fixture(scope="module")
def parts(start_parts: Callable[..., Parts]) -> Parts:
    return start_parts()


@pytest.fixture
def start_worker(parts: Parts) -> Iterator[Callable[[], None]]:
    """A function that starts a worker, which ends with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running.append(
            subprocess.Popen([sys.executable, "-m", "flask_detector", "worker"], env=parts.environment)
        )

    yield start
    for process in running:
        process.terminate()
        process.wait(20)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    write_small_rtmdet(tmp_path / "own.safetensors")
    return tmp_path / "own.safetensors"


def signed_in(page: Page, parts: Parts) -> Page:
    with connect(parts.environment["REDIS_URL"]) as connection:
        _, key = Keys(connection).create("a test", Scope.ADMIN)
    page.goto(f"{parts.url}/admin/login")
    if page.get_by_label("Admin key").count():  # else another page of this browser has signed in
        page.get_by_label("Admin key").fill(key)
        page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Models").click()
    return page


def add(page: Page, name: str, file: Path, labels: str = "") -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Class names").fill(labels)
    page.get_by_label("Weights file").set_input_files(file)
    page.get_by_role("button", name="Add model").click()


def remove(page: Page, name: str) -> None:
    row = page.locator(f"#model-{name}")
    row.locator("summary", has_text="Remove").click()
    row.get_by_role("button", name=f"Remove {name}").click()


def sent(parts: Parts, picture: bytes, model: str) -> str:
    request = urllib.request.Request(f"{parts.url}/api/v1/detections?model={model}", picture)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["id"])


def found(parts: Parts, id: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{parts.url}/api/v1/detections/{id}", timeout=30) as answer:
        form: dict[str, Any] = json.load(answer)
        return form


def test_a_model_comes_is_waited_for_goes_and_comes_again_and_no_picture_is_lost(
    open_page: Callable[..., Page],
    parts: Parts,
    start_worker: Callable[[], None],
    weights: Path,
    pictures: Path,
    complaints: list[str],
) -> None:
    page = signed_in(open_page(parts.url), parts)
    add(page, "birds", weights, "jay, tit")
    expect(page.locator("#ended")).to_contain_text("birds is installed", timeout=60 * SECONDS)
    expect(page.locator("#ended")).to_contain_text("2 classes: jay, tit.")
    picture = (pictures / "park.jpg").read_bytes()
    waiting = [sent(parts, picture, model) for model in ("birds", "auto", "birds")]
    remove(page, "birds")
    expect(page.get_by_role("main")).to_contain_text("2 pictures are waiting for the model birds.")
    complaints.clear()  # the browser's note of that refusal
    start_worker()
    for id in waiting:
        wait_until(lambda id=id: found(parts, id)["status"] == "done", 60)  # type: ignore[misc]  # mypy infers no lambda with a default
    assert [found(parts, id)["result"]["model"] for id in waiting] == ["birds", "nanodet-g", "birds"]
    page.goto(f"{parts.url}/admin/models")
    remove(page, "birds")
    expect(page.locator("#model-birds")).to_have_count(0)
    after = sent(parts, picture, "auto")
    add(page, "birds", weights, "jay\ntit")
    expect(page.locator("#ended")).to_contain_text("birds is installed", timeout=60 * SECONDS)
    again = sent(parts, picture, "birds")
    for id in (after, again):
        wait_until(lambda id=id: found(parts, id)["status"] == "done", 60)  # type: ignore[misc]  # mypy infers no lambda with a default
    assert found(parts, again)["result"]["model"] == "birds"
    row = page.locator("#model-birds")
    row.locator("summary", has_text="Try").click()
    row.get_by_role("button", name="Detect objects").click()
    page.locator(".result-shapes").wait_for(timeout=30 * SECONDS)
    page.goto(f"{parts.url}/admin/models")
    remove(page, "birds")
    expect(page.locator("#model-birds")).to_have_count(0)


def test_it_all_works_without_javascript_and_with_two_operators(
    open_page: Callable[..., Page], parts: Parts, weights: Path, tmp_path: Path, complaints: list[str]
) -> None:
    page = signed_in(open_page(parts.url, java_script_enabled=False), parts)
    other = signed_in(open_page(parts.url), parts)
    (tmp_path / "page.pth").write_text("<!doctype html><html><body>Log in first</body></html>")
    add(page, "finches", tmp_path / "page.pth")
    expect(page.locator("#ended")).to_contain_text("The file is a web page", timeout=60 * SECONDS)
    add(page, "finches", weights, "serin, siskin")
    add(other, "finches", weights)
    expect(other.locator("#add .notice")).to_contain_text("finches is being installed or added right now")
    expect(page.locator("#ended")).to_contain_text("finches is installed", timeout=60 * SECONDS)
    add(other, "finches", weights)
    expect(other.locator("#add .notice")).to_contain_text("A model named finches already exists")
    complaints.clear()  # the browser's notes of both refusals
    remove(page, "finches")
    expect(page.locator("#model-finches")).to_have_count(0)
    models = Path(parts.environment["DETECTOR_DATA_DIR"]) / "models"
    assert [path.name for path in models.iterdir() if not path.name.startswith(".")] == []
    assert list((models / ".uploads").iterdir()) == []
