"""A batch's data set from a real server: it is made while it is sent, so much may happen meanwhile."""

import io
import re
import socket
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from requests.adapters import HTTPAdapter

from tests.support.stack import Stack
from tests.support.waiting import wait_until

# More than lies between server and client: what comes last is not made when the first bytes come.
PICTURES = 10


class Narrow(HTTPAdapter):
    """Connections that take in little before it is read."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        options["socket_options"] = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)]
        super().init_poolmanager(*args, **options)


def narrow_session() -> requests.Session:
    session = requests.Session()
    session.mount("http://", Narrow())
    return session


@dataclass
class Batch:
    """A batch whose pictures are all done, and who sent it; data_set is its address."""

    session: requests.Session
    data_set: str
    ids: list[str]
    delete: Callable[[str], None]

    def ask(self, *, stream: bool = False) -> requests.Response:
        return self.session.get(self.data_set, stream=stream, timeout=60)


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    """Noise, which no format makes smaller."""
    random = np.random.default_rng(7)
    files = []
    for _ in range(PICTURES):
        file = io.BytesIO()
        pixels = random.integers(0, 256, (800, 800, 3), np.uint8)
        Image.fromarray(pixels).save(file, "JPEG", quality=99, subsampling=0)
        files.append(file.getvalue())
    assert 18_000_000 < sum(map(len, files)) < 25_000_000
    return files


def by_api(url: str, files: list[Any]) -> Batch:
    session = narrow_session()
    address = url + session.post(f"{url}/api/v1/detections", files=files, timeout=60).headers["Location"]

    def state() -> Any:
        return session.get(address, timeout=30).json()

    wait_until(lambda: bool(state()["status"] == "done"), 60)

    def delete(id: str) -> None:
        assert session.delete(f"{url}/api/v1/detections/{id}", timeout=30).status_code == 204

    return Batch(session, f"{address}/exports/coco", [one["id"] for one in state()["detections"]], delete)


def by_pages(url: str, files: list[Any]) -> Batch:
    session = narrow_session()
    session.headers["Accept"] = "text/html"  # programs that accept anything get JSON for what they send
    form = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', session.get(url, timeout=30).text)
    assert form is not None
    token = {"csrf_token": form[1]}
    address = session.post(f"{url}/detections", token, files=files, timeout=60).url
    wait_until(lambda: "data-changing" not in session.get(address, timeout=30).text, 60)
    ids = list(
        dict.fromkeys(re.findall(r"/detections/([0-9a-f]{32})", session.get(address, timeout=30).text))
    )

    def delete(id: str) -> None:
        assert session.post(f"{url}/detections/{id}/delete", token, timeout=30).ok

    return Batch(session, f"{address}/datasets/coco.zip", ids, delete)


@pytest.fixture(params=[by_api, by_pages], ids=["api", "pages"])
def batch(request: pytest.FixtureRequest, stack: Stack, pictures: list[bytes]) -> Iterator[Batch]:
    files = [("picture", (f"{number}.jpg", data)) for number, data in enumerate(pictures)]
    made = request.param(stack.url, files)
    assert len(made.ids) == PICTURES
    with made.session:
        yield made


def test_what_is_deleted_while_a_data_set_is_sent_is_left_out_and_the_rest_is_whole(
    batch: Batch, pictures: list[bytes]
) -> None:
    with batch.ask(stream=True) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_content(1 << 16)
        beginning = next(pieces)
        batch.delete(batch.ids[-1])
        batch.delete(batch.ids[-3])
        data = beginning + b"".join(pieces)
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    there = [number for number in range(PICTURES) if number not in {PICTURES - 1, PICTURES - 3}]
    assert [archive.read(f"images/{number}.jpg") for number in there] == [pictures[n] for n in there]
    assert sorted(name for name in archive.namelist() if name.startswith("images/")) == sorted(
        f"images/{number}.jpg" for number in there
    )
    told = archive.read("left_out.txt").decode().splitlines()[1:]
    assert [line.partition(": ")[0] for line in told] == [f"{PICTURES - 3}.jpg", f"{PICTURES - 1}.jpg"]
    assert all("deleted" in line for line in told)


def test_what_was_deleted_before_is_counted_and_nothing_is_told_where_nothing_is_missing(
    batch: Batch,
) -> None:
    whole = zipfile.ZipFile(io.BytesIO(batch.ask().content))
    assert "left_out.txt" not in whole.namelist()
    batch.delete(batch.ids[0])
    less = zipfile.ZipFile(io.BytesIO(batch.ask().content))
    assert set(whole.namelist()) - set(less.namelist()) == {"images/0.jpg"}
    assert "1 of them" in less.read("left_out.txt").decode()


def test_data_sets_that_nobody_reads_keep_no_place(batch: Batch) -> None:
    with ExitStack() as held:

        def is_sent() -> bool:
            return held.enter_context(batch.ask(stream=True)).status_code == 200

        for _ in range(16):  # at most 8 are made at once, 6 of them for one client
            wait_until(is_sent, 20)
        assert batch.ask().status_code == 200
