"""Scripts of other sites' pages in a real browser: what listed ones may do, and others not."""

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.stack import running_stack

pytestmark = pytest.mark.slow

# What a page of another site tries; it gets the installation's address, a key, and a picture in base64.
TRIES = """async ([api, key, picture]) => {
  const bytes = await (await fetch(`data:image/jpeg;base64,${picture}`)).blob();
  const headers = { Authorization: `Bearer ${key}` };
  const form = new FormData();
  form.append("image", bytes, "写真.jpg");
  form.append("api_key", key);
  const json = { ...headers, "Content-Type": "application/json" };
  const tries = {
    upload: ["/api/v1/detections", { method: "POST", body: bytes,
      headers: { ...headers, Prefer: "wait=30" } }],
    json: ["/infer/object_detection", { method: "POST", headers: json, body: JSON.stringify(
      { model_id: "nanodet-g", image: { type: "base64", value: picture } }) }],
    form: ["/v1/vision/detection", { method: "POST", body: form }],
    without_key: ["/api/v1/models", {}],
    nothing: ["/api/v1/no-such-thing", { headers }],
    page: ["/about", {}],
    history: ["/history", { credentials: "include" }],
  };
  const found = {};
  for (const [name, [path, options]] of Object.entries(tries)) {
    try {
      const answer = await fetch(api + path, options);
      found[name] = { status: answer.status, location: answer.headers.get("Location") };
      if (name === "upload") {
        const gone = await fetch(new URL(found.upload.location, api), { method: "DELETE", headers });
        found.deletion = { status: gone.status };
      }
    } catch (error) {
      found[name] = String(error);
    }
  }
  return found;
}"""


class OtherSite(BaseHTTPRequestHandler):
    """A page of another origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another site</title>")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def other_site() -> Iterator[str]:
    """Serve a page of another origin, and say which."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherSite) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def listed() -> Iterator[str]:
    """The origin that the installation lists."""
    with other_site() as origin:
        yield origin


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory,
    listed: str,
) -> Iterator[tuple[str, str]]:
    """The address of an installation that asks for keys and lists one other site, and a key."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DETECTOR_CORS_ORIGINS", listed)
        environment.setenv("DETECTOR_REQUIRE_KEYS", "1")
        with running_stack(tmp_path_factory.mktemp("cors")) as stack:
            variables = {**os.environ, "DETECTOR_DATA_DIR": str(stack.data_dir)}
            command = [sys.executable, "-m", "flask_detector", "keys", "create"]
            made = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
            yield stack.url, made.stdout.strip()


def tried(browser: Browser, origin: str, installation: tuple[str, str], picture: Path) -> dict[str, Any]:
    """Return what the script of another site's page met."""
    page = browser.new_page()
    page.goto(origin)
    encoded = base64.b64encode(picture.read_bytes()).decode()
    found: dict[str, Any] = page.evaluate(TRIES, [*installation, encoded])
    page.close()
    return found


def test_a_listed_site_may_use_the_api_and_the_dialects_but_no_page(
    browser: Browser, listed: str, installation: tuple[str, str], pictures: Path
) -> None:
    found = tried(browser, listed, installation, pictures / "street.jpg")
    statuses = {name: one["status"] if isinstance(one, dict) else "refused" for name, one in found.items()}
    assert statuses == {
        "upload": 200,
        "deletion": 204,
        "json": 200,
        "form": 200,
        "without_key": 401,
        "nothing": 404,
        "page": "refused",
        "history": "refused",
    }


def test_a_site_that_is_not_listed_may_nothing(
    browser: Browser, installation: tuple[str, str], pictures: Path
) -> None:
    with other_site() as origin:
        found = tried(browser, origin, installation, pictures / "street.jpg")
    assert len(found) > 6
    assert {name for name, one in found.items() if "Failed to fetch" not in one} == set()
