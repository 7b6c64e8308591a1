"""Long polling: ``Prefer: wait=SECONDS`` waits for the end of a detection (RFC 7240)."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from flask import Response, request

from flask_detector.errors import ServiceError
from flask_detector.jobs.records import Record
from flask_detector.web.core.service import service

MAX_WAIT_SECONDS = 60
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE)


def seconds_to_wait() -> int:
    """Return how long the request wants to wait, at most MAX_WAIT_SECONDS; 0 for not at all."""
    found = _WAIT.search(",".join(request.headers.getlist("Prefer")))
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else 0


def wait_for(id: str, seconds: float, *, corrected: bool = True) -> tuple[Record, dict[str, Any] | None]:
    """Return a detection once it has ended, or as it stands after that many seconds, and its result.

    Where too many requests are waiting already, this one does not: each keeps a thread of the web process
    busy.

    Raises as `Jobs.find_with_result` does.
    """
    with _may_wait(seconds) as granted:
        return service().jobs.find_with_result(id, corrected=corrected, wait=granted)


def wait_for_all(ids: Sequence[str], seconds: float) -> list[Record]:
    """Return detections as `wait_for` does, without their results; those that are deleted are left out."""
    with _may_wait(seconds) as granted:
        deadline = time.monotonic() + granted
        for record in service().jobs.find_all(ids):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if not record.status.is_final and service().jobs.exists(record.id):
                service().jobs.find_with_result(record.id, wait=left)
        return service().jobs.find_all(ids)


@contextmanager
def _may_wait(seconds: float) -> Iterator[float]:
    with ExitStack() as stack:
        if not seconds:
            yield 0
            return
        try:
            stack.enter_context(service().waiting.held("Too many requests are waiting."))
        except ServiceError:
            seconds = 0
        yield seconds


def describe(response: Response, seconds: int, url: str | None = None) -> Response:
    """Say in the answer how long was waited at most, and where what the request made is."""
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds}"
        response.headers.add("Vary", "Prefer")
    if url is not None:
        response.headers["Location"] = url
    return response
