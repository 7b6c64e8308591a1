"""Accepting pictures: one decision in Redis, which can be repeated.

Whatever makes detections of stored pictures (records, places in the queue, history, batch, webhooks) is
written in one step, and with it, under a key of its own, what was made. If that key says so already, nothing
is written: so a command may come twice or late, and a request with an idempotency key may be repeated by its
sender. Whoever looks finds either nothing or the whole.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self, cast

import redis

from flask_detector.errors import KeyReused
from flask_detector.jobs.atomic import RUN_COMMANDS, spelled

# Without an idempotency key nobody repeats a request, but a command of it may come late over a broken link.
_LATE_SECONDS = 600

# KEYS: where the decision lies. ARGV: what must lie there, what will, for how many seconds; the commands.
# Returns what lies there then.
_SCRIPT = f"""{RUN_COMMANDS}
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return found end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
run_commands(4, true, 0)
return ARGV[2]
"""


@dataclass(frozen=True)
class Decision:
    """What was made of a request: a detection or a batch of that id. fingerprint: tells the request."""

    id: str
    fingerprint: str

    def to_json(self) -> str:
        """Return it as Redis keeps it."""
        return json.dumps({"id": self.id, "fingerprint": self.fingerprint})

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the decision that `to_json` wrote."""
        form: dict[str, Any] = json.loads(data)
        return cls(form["id"], form["fingerprint"])


@dataclass(frozen=True)
class Claim:
    """What a request goes by, so that it counts once.

    key: names the decision about it. seconds: for how long. fingerprint: tells it from other requests.
    before: what lay there when it was looked at, which was about something that is gone by now.
    """

    key: str
    seconds: int = _LATE_SECONDS
    fingerprint: str = ""
    before: bytes = field(default=b"", repr=False)


class Acceptance:
    """The decisions of one Redis. Each method raises what Redis's client raises."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._script = connection.register_script(_SCRIPT)

    def look(self, key: str) -> bytes | None:
        """Return what was decided there, as `Decision.of` reads it."""
        return cast(bytes | None, self._connection.get(_key(key)))

    def decide(self, claim: Claim, id: str, commands: Iterable[Iterable[Any]]) -> str:
        """Do what makes a detection or a batch of that id, unless one was made of the same request before.

        Return the id of what there is then. Raises KeyReused where that is of another request.
        """
        mine = Decision(id, claim.fingerprint)
        words = [claim.before, mine.to_json(), claim.seconds, *spelled([list(words) for words in commands])]
        found = Decision.of(self._script([_key(claim.key)], words))
        if found.fingerprint != claim.fingerprint:
            raise KeyReused("This idempotency key was already used for another request.")
        return found.id


def _key(key: str) -> str:
    return f"flask-detector:decided:{key}"
