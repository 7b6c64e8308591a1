"""A site's path behind nginx, set up as deploy/nginx has it: nothing leads out of it or is missing in it."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response

from tests.support.ports import free_port
from tests.support.stack import running_stack
from tests.support.waiting import wait_until_answered

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
PREFIX = "/detector"

# Whatever a page, once its scripts have run, refers to.
REFERENCES = """() => {
  const found = [];
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      const isAddress = name.startsWith("data-") && /^(https?:)?\\//.test(value);
      if (isAddress || ["href", "src", "action", "formaction"].includes(name))
        for (const address of isAddress ? value.split(" ") : [value])
          found.push([address, (element.form ?? element).getAttribute("method") ?? "get"]);
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of an installation at a path of an nginx."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DETECTOR_TRUSTED_PROXIES", "1")
        with running_stack(folder / "data") as stack, nginx(folder, free_port(), stack.url) as address:
            yield f"{address}{PREFIX}"


@pytest.fixture(scope="module")
def visitor(browser: Browser, site: str) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.set_default_timeout(20_000)
    yield context
    context.close()


@contextmanager
def nginx(folder: Path, port: int, target: str) -> Iterator[str]:
    """Run nginx with the project's own configuration, on another port and for another target."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("there is no nginx on PATH")
    site = (PROJECT / "deploy" / "nginx" / "flask-detector.conf").read_text()
    site = site.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("http://127.0.0.1:5000", target)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    rooms = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"{'user root;' if os.getuid() == 0 else ''} daemon off; pid {folder}/nginx.pid; events {{}}\n"
        f"http {{ access_log off; {rooms}\n{site}}}"
    )
    process = subprocess.Popen([program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_answered(f"{address}{PREFIX}", process)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def detect(site: str, picture: bytes) -> dict[str, Any]:
    """Send a picture by the API and return its answer."""
    request = urllib.request.Request(f"{site}/api/v1/detections", picture, {"Prefer": "wait=30"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        assert answer.headers["Location"] == found["links"]["self"]
        return found


@pytest.mark.slow
def test_no_reference_of_any_page_leads_out_of_the_path_or_to_nothing(
    visitor: BrowserContext, site: str, pictures: Path
) -> None:
    strays: list[str] = []
    page = visitor.new_page()
    page.on("response", lambda answer: note(answer, site, strays))
    page.on("console", lambda message: strays.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: strays.append(str(error)))

    page.goto(f"{site}/")
    page.set_input_files("#picture", pictures / "street.jpg")
    page.get_by_role("button", name="Detect objects").click()
    page.locator(".result-shapes").wait_for()
    result = page.url
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_role("textbox", name="Link").input_value()
    assert link.startswith(f"{site}/shared/")

    page.goto(f"{site}/")
    page.set_input_files("#picture", [pictures / "park.jpg", pictures / "zoo.jpg"])
    page.get_by_role("button", name="Detect objects").click()
    page.wait_for_url(f"{site}/batches/*")

    paths = ("", "about", "history", "api/docs", "api/v1/openapi.json", "admin/login")
    seen = crawl(page, [*(f"{site}/{path}" for path in paths), result, link, page.url], site, strays)
    assert strays == []
    assert len(seen) > 60
    kinds = {re.sub(r"[0-9a-f]{12,}|[\w-]{20,}", "*", urlsplit(one).path) for one in seen}
    assert {f"{PREFIX}/detections/*", f"{PREFIX}/shared/*", f"{PREFIX}/batches/*"} <= kinds
    page.close()


def crawl(page: Page, begin: list[str], site: str, strays: list[str]) -> set[str]:
    """Open every page that they lead to, ask for everything that pages refer to; return all addresses."""
    seen: set[str] = set()
    waiting = list(begin)
    while waiting:
        address = waiting.pop().partition("#")[0]
        if address in seen:
            continue
        seen.add(address)
        answer = page.request.get(address)
        if answer.status >= 400:
            strays.append(f"{answer.status} {address}")
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        page.goto(address)
        for value, method in page.evaluate(REFERENCES):
            target = urljoin(address, value)
            if urlsplit(target).scheme not in {"http", "https"}:
                continue
            if not within(target, site):
                strays.append(f"{value} on {address}")
            elif method == "get":
                waiting.append(target)
    return seen


def within(address: str, site: str) -> bool:
    return address == site or address.startswith((f"{site}/", f"{site}?"))


def note(answer: Response, site: str, strays: list[str]) -> None:
    if urlsplit(answer.url).scheme != "blob" and (answer.status >= 400 or not within(answer.url, site)):
        strays.append(f"{answer.status} {answer.url}")


def test_pages_of_errors_lead_back_into_the_path(visitor: BrowserContext, site: str) -> None:
    page = visitor.new_page()
    for path in ("nothing", "detections/nothing", "shared/nothing", "batches/nothing"):
        page.goto(f"{site}/{path}")
        for value, _ in page.evaluate(REFERENCES):
            assert within(urljoin(page.url, value), site), (path, value)
    page.close()


def test_cookies_stay_within_the_path(visitor: BrowserContext, site: str) -> None:
    page = visitor.new_page()
    page.goto(f"{site}/")
    assert {cookie["path"] for cookie in visitor.cookies()} == {PREFIX}
    page.close()


def test_the_path_without_its_slash_leads_to_the_front_page(visitor: BrowserContext, site: str) -> None:
    page = visitor.new_page()
    page.goto(site)
    assert page.url == f"{site}/"
    page.close()


def test_the_documentation_says_where_the_api_is(
    visitor: BrowserContext, site: str, pictures: Path, tmp_path: Path
) -> None:
    page = visitor.new_page()
    page.goto(f"{site}/api/docs")
    example = page.locator("pre").first.inner_text()
    shutil.copy(pictures / "park.jpg", tmp_path / "picture.jpg")
    script = f"set -e\n{example} --silent --show-error --fail"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "done"
    page.goto(f"{site}/about")
    assert f"{site}/api/v1/detections" in page.inner_text("main")
    with urllib.request.urlopen(f"{site}/api/v1/openapi.json", timeout=30) as answer:
        document = json.load(answer)
    server = urljoin(f"{site}/api/v1/openapi.json", document["servers"][0]["url"])
    assert server == site
    assert "/api/v1/models" in document["paths"]
    page.close()


def test_each_link_that_the_api_gives_can_be_followed(site: str, pictures: Path) -> None:
    found = detect(site, (pictures / "park.jpg").read_bytes())
    assert found["status"] == "done"
    for name, path in found["links"].items():
        with urllib.request.urlopen(urljoin(site, path), timeout=30) as answer:
            assert (name, answer.status) == (name, 200)
            assert answer.read()


def test_events_come_one_by_one(site: str, pictures: Path) -> None:
    request = urllib.request.Request(f"{site}/api/v1/detections", (pictures / "street.jpg").read_bytes())
    with urllib.request.urlopen(request, timeout=30) as answer:
        path = json.load(answer)["links"]["events"]
    with urllib.request.urlopen(urljoin(site, path), timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = [line.decode() for line in answer]
    states = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert states[-1]["status"] == "done"


def test_the_largest_picture_is_taken_and_a_larger_one_refused_in_our_words(site: str, jpeg: bytes) -> None:
    largest = jpeg + bytes(25_000_000 - len(jpeg))
    assert detect(site, largest)["status"] == "done"
    with closing(HTTPConnection(urlsplit(site).netloc, timeout=60)) as host:
        host.request("POST", f"{PREFIX}/api/v1/detections", largest + b"0")
        answer = host.getresponse()
        assert answer.status == 413
        assert json.load(answer)["error"]["code"] == "picture_too_large"


def test_the_command_line_and_other_programs_work_with_the_path(site: str, pictures: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    client = huggingface_hub.InferenceClient(model=f"{site}/pipeline/object-detection", timeout=60)
    assert client.object_detection(str(pictures / "street.jpg"))
    command = [sys.executable, "-m", "flask_detector", "detect", "--json", "--server", site]
    done = subprocess.run(
        [*command, str(pictures / "street.jpg")], capture_output=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)
