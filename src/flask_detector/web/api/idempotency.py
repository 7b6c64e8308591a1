"""Idempotent requests, by the IETF's draft of the header Idempotency-Key."""

import hashlib
import json

from flask import request

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import KeyReused
from flask_detector.jobs.acceptance import Claim, Decision
from flask_detector.web.api.params import SendHeaders, checked
from flask_detector.web.api.uploads import Upload
from flask_detector.web.core.auth import owner_of_request
from flask_detector.web.core.service import service


def look_up(upload: Upload) -> tuple[Claim | None, str | None]:
    """Return what the request goes by, if it has an idempotency key, or else the id of what it made before.

    The same request may be taken in at this moment by another thread: whoever is first decides for both.

    Raises KeyReused where the key came with another request before, BadParameter for a key that is none.
    """
    header = request.headers.get("Idempotency-Key")
    key = upload.options.idempotency_key
    if header is not None:
        key = checked(SendHeaders, {"Idempotency-Key": header}).idempotency_key
    if key is None:
        return None, None
    place, fingerprint = _place_of(key), _fingerprint(upload)
    with reaching_redis():
        before = service().acceptance.look(place)
    if before is not None and _is_there((made := Decision.of(before)).id):
        if made.fingerprint != fingerprint:
            raise KeyReused("This idempotency key was already used for another request.")
        return None, made.id
    return Claim(place, service().settings.retention_seconds, fingerprint, before or b""), None


def _place_of(key: str) -> str:
    """Return where the key is kept: each API key, and each IP address without one, has its own."""
    whose = owner_of_request() or f"address:{request.remote_addr}"
    return hashlib.sha256(f"{whose}\n{key}".encode()).hexdigest()


def _is_there(id: str) -> bool:
    """Return whether what was made is still there; when it was deleted, the request is a new one."""
    return service().jobs.exists(id) or service().batches.exists(id)


def _fingerprint(upload: Upload) -> str:
    """Return a fingerprint of the pictures' bytes and the options, however they were sent."""
    digest = hashlib.sha256()
    options = upload.options.model_dump(include={"model", "min_score", "classes", "masks", "callback_url"})
    digest.update(json.dumps(options, sort_keys=True).encode())
    for picture, _ in upload.pictures:
        digest.update(hashlib.file_digest(picture, "sha256").digest())  # type: ignore[arg-type]  # it reads as a file does
        picture.seek(0)
    return digest.hexdigest()
