"""Processes that are killed while a deletion can be undone."""

import re
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

import pytest

from tests.support.installation import Installation, Recovered
from tests.support.pictures import picture
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def test_of_killed_processes_neither_a_ghost_nor_a_lost_picture_remains(
    installation: Installation, recovered: Recovered
) -> None:
    url = f"http://127.0.0.1:{installation.port}"
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    worker = installation.start_worker()
    kept, deleted = (installation.send_until_accepted(picture()) for _ in range(2))
    installation.outcomes([kept, deleted])

    def post(path: str) -> str:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.open(url).read().decode())
        assert token
        data = urlencode({"csrf_token": token[1]}).encode()
        with browser.open(f"{url}{path}", data, timeout=30) as answer:
            page: str = answer.read().decode()
            return page

    def files(id: str) -> bool:
        return any(path.is_file() for path in installation.pictures.glob(f"*/{id}/*"))

    for id in (deleted, kept):
        page = post(f"/detections/{id}/delete")
    (undo, *_) = re.findall(r'action="(/history/undo/[^"?]*)', page)
    worker.kill()
    installation.stop_redis()
    installation.start_redis()
    post(undo)
    assert installation.record(kept).status == "done"
    assert files(deleted), "it could still be undone"
    assert installation.web_process is not None
    installation.web_process.kill()
    installation.web_process.wait(20)
    installation.start_worker()
    seconds = wait_until(lambda: not files(deleted), 60)
    recovered("processes killed before a deletion was carried out: after a worker's start", seconds)
    wait_until(lambda: not installation.connection.exists("flask-detector:deletions"), 20)
    left = {key for key in installation.connection.scan_iter() if deleted.encode() in key}
    assert left == {f"flask-detector:{what}:{deleted}".encode() for what in ("mark", "decided")}
    assert installation.outcomes([kept]) == {"done": 1}
    assert files(kept)
    installation.start_web()
