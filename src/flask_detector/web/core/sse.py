"""Live news of a detection, as server-sent events (WHATWG HTML, 9.2)."""

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, g, jsonify, stream_with_context

from flask_detector.errors import DetectionError, DetectorError, ServiceError
from flask_detector.jobs.records import Record
from flask_detector.web.core.progress_steps import step_of
from flask_detector.web.core.service import service
from flask_detector.web.pages.detection import blueprint

# The queue's order can change without a message: look again this often, in seconds. The page is told that the
# line still holds each time; it connects anew when it hears nothing.
_LOOK_AGAIN_SECONDS = 2.0

_RECONNECT_MILLISECONDS = 1000


_GONE = {"status": "gone", "position": None, "stage": None, "step": None, "final": True, "working": True}


@blueprint.get("/events")
def events() -> Response:
    """Send the detection's state now and whenever it changes, until it has ended."""
    return listen(g.record)


def listen(record: Record) -> Response:
    """Send a detection's state now and whenever it changes, until it has ended; raises ServiceError."""
    leave = service().seats.take()
    if leave is None:  # a page asks for the state now and then instead
        raise ServiceError("Too many open event streams.")
    response = Response(stream_with_context(_stream(record.id)), mimetype="text/event-stream")
    response.call_on_close(leave)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    return response


@blueprint.get("/state")
def state() -> Response:
    """Send the detection's state once."""
    response = jsonify(state_of(g.record))
    response.headers["Cache-Control"] = "no-store"
    return response


def state_of(record: Record) -> dict[str, Any]:
    """Return what a waiting page shows."""
    return {
        "status": record.status,
        "position": record.position,
        "stage": record.stage,
        "step": None if record.status.is_final else step_of(record.status, record.stage),
        "final": record.status.is_final,
        "working": bool(service().jobs.workers()),
    }


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
