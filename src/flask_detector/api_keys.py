"""API keys in Redis: they authenticate programs.

A key is shown only once, when it is created. Only its SHA-256 is stored: the secret is 256 random bits, which
no dictionary attack can guess, so a slow password hash would only slow down every request.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

import redis

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import UnknownKey

# Secret scanners recognise keys by such a prefix.
PREFIX = "fd"

_TEXT = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_[A-Za-z0-9_-]{{43}}")
_ALL = "flask-detector:keys"
_INSTALLATION_SECRET = "flask-detector:webhook-secret"  # noqa: S105  # the name of a Redis key

# A key's time of last use is updated at most this often.
_LAST_USE_SECONDS = 60.0


class Scope(StrEnum):
    """What a key gives access to: `use` to the API, `admin` also to the admin page and metrics."""

    USE = "use"
    ADMIN = "admin"


@dataclass(frozen=True)
class Key:
    """What is stored of a key; not its secret."""

    id: str
    name: str
    scope: Scope
    created_at: datetime
    last_used_at: datetime | None

    @property
    def owner(self) -> str:
        """The owner that detections of this key have."""
        return owner_of(self.id)


def owner_of(key_id: str) -> str:
    """Return the owner that detections of the key with that id have."""
    return f"key:{key_id}"


def key_id_of(owner: str | None) -> str | None:
    """Return the id of an owner's key; None if the owner is a browser or nobody."""
    kind, _, id = (owner or "").partition(":")
    return id if kind == "key" else None


class Keys:
    """The keys of one Redis. Every method raises BrokerUnavailable when it can't be reached."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection

    def create(self, name: str, scope: Scope = Scope.USE) -> tuple[Key, str]:
        """Create a key; return it and its text, which is not stored."""
        id = secrets.token_hex(6)
        text = f"{PREFIX}_{id}_{secrets.token_urlsafe(32)}"
        now = time.time()
        facts: dict[str | bytes, str | float] = {
            "name": name,
            "scope": scope.value,
            "hash": _hash(text),
            "created_at": now,
            "webhook_secret": _new_secret(),
        }
        with reaching_redis(), self._connection.pipeline() as pipeline:
            pipeline.hset(_key(id), mapping=facts)  # type: ignore[arg-type]  # redis-py asks for less than it takes
            pipeline.zadd(_ALL, {id: now})
            pipeline.execute()
        return Key(id, name, scope, datetime.fromtimestamp(now, UTC), None), text

    def list(self) -> list[Key]:
        """Return all keys, the oldest first."""
        with reaching_redis():
            ids = [id.decode() for id in cast(list[bytes], self._connection.zrange(_ALL, 0, -1))]
            with self._connection.pipeline(transaction=False) as pipeline:
                for id in ids:
                    pipeline.hgetall(_key(id))
                answers = pipeline.execute()
        return [_key_of(id, facts) for id, facts in zip(ids, answers, strict=True) if facts]

    def revoke(self, id: str) -> None:
        """Revoke a key immediately; raises UnknownKey."""
        with reaching_redis(), self._connection.pipeline() as pipeline:
            # The reply to DEL won't do: it is sent again after a lost connection.
            if not self._connection.exists(_key(id)):
                raise UnknownKey(
                    f"There is no key {id[:20]!r}.", hint="Run 'flask-detector keys list' to see the ids."
                )
            pipeline.delete(_key(id))
            pipeline.zrem(_ALL, id)
            pipeline.execute()

    def check(self, text: str) -> Key:
        """Return the key with that text; raises UnknownKey."""
        match = _TEXT.fullmatch(text)
        facts: dict[bytes, bytes] = {}
        if match is not None:
            with reaching_redis():
                facts = cast(dict[bytes, bytes], self._connection.hgetall(_key(match[1])))
        # Hashes are compared in constant time, also for unknown keys.
        if not hmac.compare_digest(facts.get(b"hash", b""), _hash(text).encode()) or match is None:
            raise UnknownKey("The API key is unknown.")
        self._touch(match[1], facts)
        return _key_of(match[1], facts)

    def webhook_secret(self, key_id: str | None) -> str:
        """Return the secret that signs a key's webhooks; without a key, the one of the installation.

        Its format is that of Standard Webhooks: ``whsec_`` and 32 random bytes in base64.

        Raises UnknownKey for a key that was revoked.
        """
        with reaching_redis():
            if key_id is None:
                self._connection.set(_INSTALLATION_SECRET, _new_secret(), nx=True)
                return cast(bytes, self._connection.get(_INSTALLATION_SECRET)).decode()
            secret = cast(bytes | None, self._connection.hget(_key(key_id), "webhook_secret"))
        if secret is None:
            raise UnknownKey(
                f"There is no key {key_id[:20]!r}.", hint="Run 'flask-detector keys list' to see the ids."
            )
        return secret.decode()

    def _touch(self, id: str, facts: dict[bytes, bytes]) -> None:
        now = time.time()
        if now - float(facts.get(b"last_used_at", 0)) < _LAST_USE_SECONDS:
            return
        with reaching_redis():
            # Only if the key still exists: it may just have been revoked.
            self._connection.eval(_TOUCH, 1, _key(id), str(now))


_TOUCH = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'last_used_at', ARGV[1]) end
"""


def _key_of(id: str, facts: dict[bytes, bytes]) -> Key:
    last_used = facts.get(b"last_used_at")
    return Key(
        id,
        facts[b"name"].decode(),
        Scope(facts[b"scope"].decode()),
        datetime.fromtimestamp(float(facts[b"created_at"]), UTC),
        None if last_used is None else datetime.fromtimestamp(float(last_used), UTC),
    )


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(id: str) -> str:
    return f"flask-detector:key:{id}"
