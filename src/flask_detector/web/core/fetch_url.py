"""Pictures that a request names by URL, where the settings allow that."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from urllib.parse import unquote_to_bytes, urlsplit

from flask import request
from werkzeug.http import parse_options_header

from flask_detector import guarded_http
from flask_detector.errors import AddressRefused, AddressUnreachable, PictureTooLarge
from flask_detector.web.core.service import service
from flask_detector.web.core.text_encoding import decoded

# For one picture, whatever it takes to get it. Those of one request have the time of a detection together.
_SECONDS = 20.0

# In a request's WSGI environment: until when it may fetch pictures.
_UNTIL = "flask_detector.fetch_until"

# When the picture that is being fetched has to be there.
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_REDIRECTS = 3


def fetch(url: str) -> guarded_http.Answer:
    """Return the response that contains the picture at a URL.

    Raises AddressRefused, AddressUnreachable, PictureTooLarge, and what `fetching` raises.
    """
    settings = service().settings
    if not settings.pictures_by_url:
        raise disabled()
    with fetching() as seconds_left:
        rules = guarded_http.Rules(
            settings.allow_private_addresses, seconds_left(), settings.max_upload_bytes, _REDIRECTS
        )
        return checked(guarded_http.send("GET", url, rules))


def disabled() -> AddressRefused:
    """Return what is said where the settings allow no fetching."""
    return AddressRefused(
        "Fetching pictures from URLs is disabled.",
        hint="Send the picture itself, or set DETECTOR_PICTURES_BY_URL.",
    )


@contextmanager
def fetching() -> Iterator[Callable[[], float]]:
    """Hold a place for fetching a picture within the block; yields a function that returns the seconds left.

    Within another such block it is the same picture. Raises ServiceError where no place is free, and
    AddressUnreachable where the request's other pictures have taken all of its time.
    """
    if (outer := _deadline.get()) is not None:
        yield lambda: outer - time.monotonic()
        return
    with service().fetching.held("Too many pictures are being fetched."):
        now, limit = time.monotonic(), service().settings.compat_timeout
        until = min(now + _SECONDS, request.environ.setdefault(_UNTIL, now + max(limit, _SECONDS)))
        if until <= now:
            raise AddressUnreachable(f"The request's pictures took longer than {limit:g} seconds to fetch.")
        token = _deadline.set(until)
        try:
            yield lambda: until - time.monotonic()
        finally:
            _deadline.reset(token)


def checked(answer: guarded_http.Answer) -> guarded_http.Answer:
    """Return an answer that holds a whole picture; raises AddressUnreachable or PictureTooLarge."""
    if not answer.is_whole:
        limit = service().settings.max_upload_mb
        raise PictureTooLarge(f"The file has more than {limit:g} MB, the most that is accepted.")
    if answer.status != HTTPStatus.OK:
        raise AddressUnreachable(f"The server returned {answer.status} instead of a picture.")
    return answer


def name_of(answer: guarded_http.Answer) -> str:
    """Return what a fetched picture is called: by its server (Content-Disposition), else by its URL."""
    disposition = decoded(answer.headers.get("content-disposition", "").encode("latin-1", "replace"))
    name = parse_options_header(disposition)[1].get("filename")
    return name or decoded(unquote_to_bytes(urlsplit(answer.url).path))
