"""Visitors: a random id in a signed cookie, and nothing else. There are no accounts."""

import hmac
import secrets

from flask import session

from flask_detector.jobs.records import Record

_NAME = "visitor"


def visitor() -> str:
    """Return this browser's name, and give it one at its first visit."""
    if _NAME not in session:
        session[_NAME] = secrets.token_urlsafe(16)
        session.permanent = True
    name: str = session[_NAME]
    return name


def may_see(record: Record) -> bool:
    """Return whether this browser sent the picture, or its id is the only key to it."""
    return record.owner is None or hmac.compare_digest(record.owner, str(session.get(_NAME, "")))
