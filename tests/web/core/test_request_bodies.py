"""Bodies that are pictures, however long they are and however they come."""

import resource
import sys

import pytest
from flask.testing import FlaskClient

MEGABYTE = 1_000_000


class Endless:
    """A body that goes on, and knows how much of it was read."""

    def __init__(self, head: bytes, size: int) -> None:
        self._head = head
        self._left = size
        self.was_read = 0

    def read(self, size: int = -1, /) -> bytes:
        size = min(self._left, size if size >= 0 else self._left)
        piece = (self._head if self.was_read == 0 else b"").ljust(size, b"\0")[:size]
        self._left -= size
        self.was_read += size
        return piece


def test_a_body_in_pieces_is_given_up_at_the_limit(client: FlaskClient) -> None:
    unbounded = Endless(b"\xff\xd8\xff", 2_000 * MEGABYTE)
    answer = client.post(
        "/api/v1/detections",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input": unbounded, "wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (413, "request_too_large")
    assert unbounded.was_read < 28 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read as Linux counts it")
def test_a_large_body_does_not_go_through_memory(client: FlaskClient, jpeg: bytes) -> None:
    client.post("/api/v1/detections", data=jpeg)  # what any upload needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    body = Endless(jpeg, 24 * MEGABYTE)
    answer = client.post(
        "/api/v1/detections", environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": str(24 * MEGABYTE)}
    )
    assert answer.status_code == 202
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000, "kilobytes"
