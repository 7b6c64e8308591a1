"""Visitors: a random id in a signed cookie, and nothing else. There are no accounts."""

import hmac
import secrets
from typing import Protocol

from flask import session

_NAME = "visitor"


def visitor() -> str:
    """Return this browser's name, and give it one at its first visit."""
    if _NAME not in session:
        session[_NAME] = secrets.token_urlsafe(16)
        session.permanent = True
    name: str = session[_NAME]
    return name


class Owned(Protocol):
    """A detection, or a collection."""

    @property
    def owner(self) -> str | None:
        """The browser's or the key's name; None where the id is the key to it."""


def may_see(what: Owned) -> bool:
    """Return whether it is this browser's, or its id is the only key to it."""
    return what.owner is None or hmac.compare_digest(what.owner, str(session.get(_NAME, "")))


def is_known() -> bool:
    """Return whether this browser has been given a name."""
    return _NAME in session
