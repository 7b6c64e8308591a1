"""File names and the labels of a user's own checkpoint are shown as they are, and never run."""

import signal
import threading
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from flask_detector.formats import FORMATS
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.web import create_app
from flask_detector.worker import rq_worker
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.detect import detect
from flask_detector.worker.rq_worker import DetectionWorker

pytestmark = pytest.mark.slow

SHOUT = "document.documentElement.dataset.hacked=1"
HOSTILE = [
    f'"><img src=x onerror="{SHOUT}">',
    f"</script><script>{SHOUT}</script>",
    f"'-{SHOUT}-'",
    f"<svg onload={SHOUT}>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    f"javascript:{SHOUT}",
    "=HYPERLINK(1)",
]


@pytest.fixture
def address(
    settings: Settings, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of the application, whose worker has a model with hostile labels, and what lets it work."""

    def with_hostile_labels(*given: Any, **options: Any) -> dict[str, Any]:
        form = detect(*given, **options)
        form["labels"] = [HOSTILE[n % len(HOSTILE)] + str(n) for n in range(len(form["labels"]))]
        for number, instance in enumerate(form["instances"]):
            instance["class_id"] = number % len(HOSTILE)
            instance["label"] = form["labels"][instance["class_id"]]
        return form

    monkeypatch.setattr(rq_worker, "detect", with_hostile_labels)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    context = WorkerContext.of(settings, connection, open_storage(settings))

    def work_off() -> None:
        DetectionWorker(context).work(burst=True, logging_level="WARNING")

    server = make_server("127.0.0.1", 0, create_app(settings, connection=connection), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", work_off
    server.shutdown()
    thread.join(10)
    server.server_close()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_hostile_names_and_labels_are_shown_and_not_run(
    browser: Browser, address: tuple[str, Callable[[], None]]
) -> None:
    url, work_off = address
    picture = Path(str(resources.files("flask_detector.web") / "static" / "example.jpg")).read_bytes()
    context = browser.new_context(base_url=url)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.goto("/")
    name = f"{HOSTILE[0]}.jpg".replace("/", "")
    page.set_input_files("#picture", {"name": name, "mimeType": "image/jpeg", "buffer": picture})
    page.get_by_role("button", name="Detect objects").click()
    page.wait_for_url("**/detections/*")
    work_off()
    page.locator(".result-shapes").wait_for()  # the waiting page goes on by itself
    result = page.url

    def quiet() -> None:
        assert page.evaluate("document.documentElement.dataset.hacked") is None
        assert page.locator("img[src='x'], svg[onload]").count() == 0

    quiet()
    assert HOSTILE[0] in page.locator("body").inner_text()
    for path in ("/history", f"/history?label={HOSTILE[1]}", "/about", "/nothing<svg onload=1>"):
        page.goto(path)
        quiet()
    for export in FORMATS:
        response = context.request.get(f"{result}/exports/{export}")
        assert response.ok, export
        assert response.headers["content-disposition"].startswith("attachment"), export
        assert response.headers["x-content-type-options"] == "nosniff", export
    context.close()
    assert dialogs == []
    assert [error for error in errors if "404" not in error] == []
