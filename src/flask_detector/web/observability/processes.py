"""Web processes report their memory to Redis, so that any of them can serve the metrics of all.

Workers report theirs with their heartbeat, see `jobs.inspect`.
"""

import json
import os
import platform
import secrets
from dataclasses import asdict, dataclass
from typing import cast

import redis

from flask_detector.process.memory import resident_bytes
from flask_detector.service.supervisor import SOCKET_VARIABLE

_KEY = "flask-detector:web"

# A process that has not reported for so long is left out, by Redis's clock.
_SILENCE_SECONDS = 15


@dataclass(frozen=True)
class Process:
    """A process of the installation.

    kind: `web`, `worker`, or `supervisor` for what started a web process and its workers.
    name: distinguishes it from one of the same number in another container of its host.
    memory: resident bytes.
    """

    kind: str
    host: str
    process: int
    name: str
    memory: int


class Presence:
    """What this process reports of itself, and of the supervisor that started it."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(4)

    def processes(self) -> list[Process]:
        """Return this process, and its supervisor, with the memory that they have now."""
        host = platform.node()
        found = [Process("web", host, os.getpid(), self._name, resident_bytes())]
        # The supervisor knows no Redis: it is small because it knows so little.
        if SOCKET_VARIABLE in os.environ and (memory := resident_bytes(os.getppid())):
            found.append(Process("supervisor", host, os.getppid(), self._name, memory))
        return found

    def report(self, connection: redis.Redis) -> None:
        """Write it to Redis; raises redis.RedisError."""
        report = json.dumps([asdict(process) for process in self.processes()])
        connection.eval(_REPORT, 1, _KEY, self._name, report, str(_SILENCE_SECONDS))

    def withdraw(self, connection: redis.Redis) -> None:
        """Take it back; raises redis.RedisError."""
        connection.hdel(_KEY, self._name)


_REPORT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
local told = redis.call('HGETALL', KEYS[1])
for place = 1, #told, 2 do
    if now - tonumber(string.match(told[place + 1], '^%d+')) > tonumber(ARGV[3]) then
        redis.call('HDEL', KEYS[1], told[place])
    end
end
"""


def read(connection: redis.Redis) -> list[Process]:
    """Return the processes of all web servers that have reported lately; raises redis.RedisError."""
    # Only reading, so that it works with a Redis that is full, too.
    with connection.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.hvals(_KEY)
        (now, _), values = cast(tuple[tuple[int, int], list[bytes]], tuple(pipeline.execute()))
    reports = [value.decode().split(" ", 1) for value in values]
    lately = [text for moment, text in reports if now - int(moment) <= _SILENCE_SECONDS]
    return [Process(**facts) for text in lately for facts in json.loads(text)]
