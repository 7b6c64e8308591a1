"""Conditional responses: ETag and If-None-Match (RFC 9110)."""

import hashlib
from collections.abc import Callable

from flask import Response, make_response, request

from flask_detector._version import __version__
from flask_detector.jobs.records import Record
from flask_detector.web.core.renditions import File
from flask_detector.web.core.responses import send

# A client may keep it, but asks each time whether it is still there: it may have been deleted.
REVALIDATED = "private, no-cache"


def send_once(make: Callable[[], File], record: Record, *, as_download: bool = False) -> Response:
    """Send a file made of a finished detection, unless the client has it already; it is only made if not.

    The file must depend on nothing but the URL of the request, with its query, and the result's correction.
    """
    return send_once_of(make, str(record.correction), as_download=as_download)


def send_once_of(make: Callable[[], File], version: str, *, as_download: bool = False) -> Response:
    """Do the same with a file that depends on the URL and a version."""
    source = f"{__version__} {version} {request.full_path}"
    tag = hashlib.sha256(source.encode()).hexdigest()[:32]
    has_it = request.if_none_match.contains(tag)
    response = make_response("", 304) if has_it else send(make(), as_download=as_download)
    response.set_etag(tag)
    response.headers["Cache-Control"] = REVALIDATED
    return response


def send_if_changed(response: Response) -> Response:
    """Send an answer with an ETag of its content, or 304 where the client has the same."""
    response.add_etag()
    response.headers["Cache-Control"] = REVALIDATED
    response.make_conditional(request)
    return response
