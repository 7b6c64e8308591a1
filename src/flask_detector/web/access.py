"""Who a program is: the API key that a request carries, and what that opens."""

from flask import g, request

from flask_detector.errors import KeyMissing, KeyNotAllowed, UnknownDetection
from flask_detector.keys import Key, Scope
from flask_detector.records import Record
from flask_detector.web.service import service


def key_of_request() -> Key | None:
    """Return the key that the request carries, by one of the two usual headers; raises UnknownKey.

    Raises KeyMissing where there is none and the settings ask for one.
    """
    if "api_key" not in g:
        g.api_key = identify(_sent_text())
    key: Key | None = g.api_key
    return key


def identify(text: str | None) -> Key | None:
    """Return the key that a text is, as `key_of_request` does, however it was sent."""
    if text is not None:
        return service().keys.check(text)
    if service().settings.require_keys:
        raise KeyMissing("This needs an API key.")
    return None


def require_admin() -> None:
    """Raise KeyMissing, UnknownKey or KeyNotAllowed unless the request carries an administrator's key."""
    key = key_of_request()
    if key is None:
        raise KeyMissing("This needs an API key.", hint="'flask-detector keys create --admin' makes one.")
    if key.scope is not Scope.ADMIN:
        raise KeyNotAllowed("This API key does not open what is about the installation.")


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
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    return request.headers.get("X-API-Key")
