"""API keys: which one a request carries, and what it gives access to."""

from collections.abc import Callable

from flask import g, request
from werkzeug.exceptions import HTTPException

from flask_detector.api_keys import Key, Scope
from flask_detector.errors import (
    AccessError,
    KeyMissing,
    KeyNotAllowed,
    PictureError,
    RequestError,
    UnknownDetection,
)
from flask_detector.jobs.records import Record
from flask_detector.web.core.service import service


def key_of_request() -> Key | None:
    """Return the key that the request carries, by one of the two usual headers or in its own client's way.

    Raises UnknownKey; KeyMissing where there is none and the settings ask for one; and what is wrong with a
    body that has to be read for it.
    """
    if "api_key" not in g:
        text = _sent_text()
        if text is not None:
            g.api_key = service().keys.check(text)
        elif service().settings.require_keys:
            raise KeyMissing("An API key is required.")
        else:
            g.api_key = None
    key: Key | None = g.api_key
    return key


def look_for_key(read: Callable[[], str | None]) -> None:
    """Have the current request's key looked for where `read` finds it, before the usual headers."""
    g.read_key = read


def known_key() -> Key | None:
    """Return the request's key; None for one that is not known, and where the request can't be read.

    To count requests by: what is wrong with them is reported by what answers them.
    """
    # It is asked for several times, and a key that is not known would be looked up each time.
    if "known_key" not in g:
        try:
            g.known_key = key_of_request()
        except (AccessError, RequestError, PictureError, HTTPException):
            g.known_key = None
    key: Key | None = g.known_key
    return key


def require_admin() -> None:
    """Raise KeyMissing, UnknownKey or KeyNotAllowed unless the request carries an administrator's key."""
    key = key_of_request()
    if key is None:
        raise KeyMissing(
            "An API key is required.", hint="Create one with 'flask-detector keys create --admin'."
        )
    if key.scope is not Scope.ADMIN:
        raise KeyNotAllowed("This API key has no admin access.")


def owner_of_request() -> str | None:
    """Return the owner of what the request makes; None where its id is to be the key to it."""
    key = key_of_request()
    return None if key is None else key.owner


def find(id: str) -> Record:
    """Return a detection that the request may see; raises UnknownDetection or DetectionExpired."""
    owner = owner_of_request()
    record = service().jobs.find(id)
    if record.owner is not None and record.owner != owner:
        raise UnknownDetection("There is no such detection.")
    return record


def _sent_text() -> str | None:
    if text := g.get("read_key", lambda: None)():
        return str(text)
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    return request.headers.get("X-API-Key")
