"""Small answers that several pages give."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import BinaryIO

from flask import Response, jsonify, make_response, redirect, send_file, stream_with_context
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.web.errors import wants_json
from flask_detector.web.renditions import File

PRIVATE_HOUR = "private, max-age=3600"


def go_to(address: str, **facts: str) -> AnyResponse:
    """Send a person to an address, and tell a script that and the facts."""
    if not wants_json():
        return redirect(address, 303)
    response = jsonify({"url": address, **facts})
    response.status_code = 202
    response.headers["Location"] = address
    return response


def send(file: File, *, as_download: bool = False) -> Response:
    """Send a file, for its visitor's browser alone to keep."""
    response = make_response(file.data)
    response.headers["Content-Type"] = file.media_type
    response.headers["Cache-Control"] = PRIVATE_HOUR
    if as_download:
        response.headers.set("Content-Disposition", "attachment", filename=file.name)
    return response


def send_archive(file: BinaryIO, name: str) -> Response:
    """Send a ZIP file to keep, piece by piece; it is closed at the end."""
    response = send_file(file, "application/zip", as_attachment=True, download_name=name)
    response.headers["Cache-Control"] = "no-store"
    return response


def send_pieces(pieces: Iterator[bytes], name: str, place: AbstractContextManager[None]) -> Response:
    """Send a ZIP file to keep that is made while it is sent, in a place that is held until then."""
    held = ExitStack()
    held.enter_context(place)  # refused now, or not at all
    response = Response(stream_with_context(pieces), mimetype="application/zip")
    response.call_on_close(held.close)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Cache-Control"] = "no-store"
    return response


def unkept(page: str | Response) -> Response:
    """Send a page or an answer that changes: no cache may keep it."""
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response
