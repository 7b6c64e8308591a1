"""Responses that several routes send: redirects, files, downloads, streamed ZIPs."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import chain
from urllib.parse import quote, urlsplit, urlunsplit

from flask import Response, jsonify, make_response, redirect, request, stream_with_context
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.formats.file_names import shown_name
from flask_detector.web.core.errors import wants_json
from flask_detector.web.core.renditions import File

PRIVATE_HOUR = "private, max-age=3600"

# Old clients take \ or % for the beginning of an escape, and ; for the end; Windows has no other in names.
_UNPLAIN = re.compile(r'(?:[^ -~]|["%;\\/:*?<>|])+')


def go_to(url: str, **facts: str) -> AnyResponse:
    """Redirect a person to a URL; send it to a script as JSON, with the facts."""
    if not wants_json():
        return redirect(url, 303)
    response = jsonify({"url": url, **facts})
    response.status_code = 202
    response.headers["Location"] = url
    return response


def here() -> str:
    """Return the current page's path and query, for a form that leads back to it."""
    return f"{request.script_root}{request.full_path.rstrip('?')}"


def back_or(default: str) -> str:
    """Return where a form's ``back`` leads, if that is a page of this application, and else the default."""
    back = request.args.get("back", "")
    inside = back.startswith(f"{request.script_root}/") and not back.startswith("//")
    return back if inside and "\\" not in back and back.isprintable() else default


def came_from(path: str) -> str | None:
    """Return the path and query that led to the current page, if the path is that one of this application."""
    before = urlsplit(request.referrer or "")
    is_it = before.netloc == request.host and before.path == path
    return urlunsplit(("", "", before.path, before.query, "")) if is_it else None


def send(file: File, *, as_download: bool = False) -> Response:
    """Send a file, for its visitor's browser alone to keep."""
    response = make_response(file.data)
    response.headers["Content-Type"] = file.media_type
    response.headers["Cache-Control"] = PRIVATE_HOUR
    return to_keep(response, file.name) if as_download else response


def to_keep(response: Response, name: str) -> Response:
    """Make an answer a file to keep, called by that name, whatever characters it has (RFC 6266, RFC 8187)."""
    name = shown_name(name)
    plain, exact = name, None
    if not name.isascii() or _UNPLAIN.search(name):
        plain, exact = _plain(name), f"UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    response.headers.set("Content-Disposition", "attachment", **{"filename": plain, "filename*": exact})
    return response


def _plain(name: str) -> str:
    """Return the nearest name of English letters, for clients that know no other."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    stem, dot, rest = _UNPLAIN.sub("_", letters).partition(".")
    return f"{stem.strip(' _') or 'picture'}{dot}{rest}"


def send_pieces(pieces: Iterator[bytes], name: str, place: AbstractContextManager[None]) -> Response:
    """Send a ZIP file to keep that is made while it is sent, in a place that is held until then."""
    with ExitStack() as here:
        here.enter_context(place)  # refused now, or not at all
        first = next(pieces, b"")
        held = here.pop_all()
    response = Response(stream_with_context(chain([first], pieces)), mimetype="application/zip")
    response.call_on_close(held.close)
    return to_keep(response, name)
