"""Requests that may be sent twice but count once: the IETF's draft of the header Idempotency-Key."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import request

from flask_detector.errors import KeyReused, StillInProgress
from flask_detector.jobs.queue import new_id
from flask_detector.web.api.params import SendHeaders, checked
from flask_detector.web.api.uploads import Sent
from flask_detector.web.core.auth import owner_of_request
from flask_detector.web.core.service import service


@dataclass
class Claim:
    """What a request makes gets `new_id`, unless the same request made `known` before."""

    new_id: str
    known: str | None = None


@contextmanager
def claim(brought: Sent) -> Iterator[Claim]:
    """Let the block make what the request asks for, at most once for its idempotency key.

    The block sets `known` to what it made. Raises KeyReused where the key came with another request before,
    StillInProgress where the first one is in the middle of that, BadParameter for a key that is none.
    """
    header = request.headers.get("Idempotency-Key")
    key = brought.options.idempotency_key
    if header is not None:
        key = checked(SendHeaders, {"Idempotency-Key": header}).idempotency_key
    mine = Claim(new_id())
    if key is None:
        yield mine
        return
    shelf, place = service().shelf, _place_of(key)
    print_ = _fingerprint(brought)
    found = shelf.claim(place, print_, mine.new_id)
    if found is not None and found.is_made and not _is_there(found.id, len(brought.pictures) > 1):
        shelf.unclaim(place)  # it was deleted: this is a new request
        found = shelf.claim(place, print_, mine.new_id)
    if found is not None:
        if found.fingerprint != print_:
            raise KeyReused("This idempotency key came with another request before.")
        # Redis may have gone away between the picture and the word that it was taken in.
        if not found.is_made and not _is_there(found.id, len(brought.pictures) > 1):
            raise StillInProgress("The first request with this idempotency key is still being taken in.")
        mine.known = found.id
        yield mine
        return
    try:
        yield mine
    except BaseException:
        shelf.unclaim(place)
        raise
    shelf.keep_claim(place, print_, mine.new_id)


def _place_of(key: str) -> str:
    """Return where the key is kept: each API key, and each address without one, has its own."""
    whose = owner_of_request() or f"address:{request.remote_addr}"
    return hashlib.sha256(f"{whose}\n{key}".encode()).hexdigest()


def _is_there(id: str, is_batch: bool) -> bool:
    return service().shelf.has_batch(id) if is_batch else service().jobs.exists(id)


def _fingerprint(brought: Sent) -> str:
    """Return what tells requests apart: the pictures' bytes and the options, not how they were sent."""
    digest = hashlib.sha256()
    options = brought.options.model_dump(include={"model", "min_score", "classes", "masks", "callback_url"})
    digest.update(json.dumps(options, sort_keys=True).encode())
    for picture, _ in brought.pictures:
        digest.update(hashlib.file_digest(picture, "sha256").digest())  # type: ignore[arg-type]
        picture.seek(0)
    return digest.hexdigest()
