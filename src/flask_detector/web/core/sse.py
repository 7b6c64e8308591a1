"""The state of a detection as server-sent events (WHATWG HTML, 9.2)."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from flask import Response, stream_with_context

from flask_detector.errors import DetectionError, DetectorError
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import JobStatus
from flask_detector.web.core.forecast import place_in_line
from flask_detector.web.core.progress_steps import STEPS, step_of
from flask_detector.web.core.service import service

# The queue's order can change without a message: look again this often, in seconds. The page gets an event
# each time, and reconnects when none comes.
_LOOK_AGAIN_SECONDS = 2.0

_RECONNECT_MILLISECONDS = 1000

_GONE = {
    "status": "gone",
    "position": None,
    "stage": None,
    "step": None,
    "final": True,
    "working": True,
    "estimated_seconds": None,
    "place": "",
    "forecast": "",
}


def listen(record: Record) -> Response:
    """Send a detection's state now and whenever it changes, until it has ended; raises ServiceError."""
    with ExitStack() as stack:  # a page that is refused polls the state instead
        stack.enter_context(service().waiting.held("Too many open event streams."))
        held = stack.pop_all()
    response = Response(stream_with_context(_stream(record.id)), mimetype="text/event-stream")
    response.call_on_close(held.close)
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    return response


def state_of(record: Record) -> dict[str, Any]:
    """Return what a waiting page shows, and programs may follow."""
    return {
        "status": record.status,
        "position": record.position,
        "stage": record.stage,
        "step": None if record.status.is_final else step_of(record.status, record.stage),
        "final": record.status.is_final,
        "working": service().forecast.has_worker(record),
        "estimated_seconds": service().forecast.seconds(record),
        "place": _place(record),
        "forecast": service().forecast.words(record),
    }


def _place(record: Record) -> str:
    if record.status.is_final:
        return ""
    if record.status is JobStatus.RUNNING:
        return f"{STEPS[step_of(record.status, record.stage)].title}."
    return place_in_line(record)


def _stream(id: str) -> Iterator[str]:
    yield f"retry: {_RECONNECT_MILLISECONDS}\n\n"
    last: dict[str, Any] | None = None
    try:
        with service().jobs.waiting(id) as wait:
            while last is None or not last["final"]:
                now = state_of(service().jobs.find(id))
                yield _event("state", now) if now != last else _event("still", {})
                last = now
                if not now["final"]:
                    wait(_LOOK_AGAIN_SECONDS)
    except DetectionError:  # deleted meanwhile: its page says so
        yield _event("state", _GONE)
    except DetectorError:  # Redis went away: the browser connects again by itself
        return


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
