"""News of detections: whoever waits for one is woken when it changes, over one connection of the process.

A connection for each who waits would cost more than all else that is asked of Redis for a picture.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

log = logging.getLogger(__name__)

_CHANNELS = "flask-detector:changes:"

# The connection is closed when nobody has waited for so long, in seconds.
_LINGER_SECONDS = 10.0
_TICK_SECONDS = 1.0

# Whoever waits looks now and then without a message, too: no longer than this until messages come at all.
_START_SECONDS = 1.0


def channel_of(id: str) -> str:
    """Return the channel on which changes of a detection are told."""
    return f"{_CHANNELS}{id}"


class Notifications:
    """Listens to all changes of one Redis while somebody waits for any."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._waiters: dict[str, set[threading.Event]] = {}
        self._thread: threading.Thread | None = None
        self._is_listening = threading.Event()

    @contextmanager
    def waiting(self, id: str) -> Iterator[Callable[[float], None]]:
        """Yield a function that returns when a detection changes or that many seconds have passed.

        A change between entering and the first call is not missed, unless Redis can't be reached.
        """
        woken = threading.Event()

        def wait(seconds: float) -> None:
            woken.wait(seconds)
            woken.clear()  # whoever waits looks after this

        with self._lock:
            self._waiters.setdefault(id, set()).add(woken)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
                self._thread.start()
        try:
            self._is_listening.wait(_START_SECONDS)
            yield wait
        finally:
            with self._lock:
                self._waiters[id].discard(woken)
                if not self._waiters[id]:
                    del self._waiters[id]

    def _run(self) -> None:
        while self._goes_on():
            try:
                self._listen()
            except (
                redis.RedisError,
                OSError,
                ValueError,
            ) as error:  # the last one of a client that was closed
                log.debug("no changes can be heard: %s", type(error).__name__)
                threading.Event().wait(_TICK_SECONDS)
            finally:
                self._is_listening.clear()

    def _listen(self) -> None:
        """Wake those who wait, until nobody has waited for a while."""
        idle = 0.0
        with self._connection.pubsub() as subscription:
            subscription.psubscribe(f"{_CHANNELS}*")
            while idle < _LINGER_SECONDS:
                message = subscription.get_message(timeout=_TICK_SECONDS)
                if message is None:
                    idle = 0.0 if self._waiters else idle + _TICK_SECONDS
                elif message["type"] == "psubscribe":  # also after an outage: what was told in it?
                    self._wake_all()
                    self._is_listening.set()
                elif message["type"] == "pmessage":
                    self._wake(message["channel"].decode())

    def _wake(self, channel: str) -> None:
        with self._lock:
            for woken in self._waiters.get(channel.removeprefix(_CHANNELS), ()):
                woken.set()

    def _wake_all(self) -> None:
        with self._lock:
            for waiters in self._waiters.values():
                for woken in waiters:
                    woken.set()

    def _goes_on(self) -> bool:
        """Tell whether somebody waits; if nobody does, the next one starts another thread."""
        with self._lock:
            if not self._waiters:
                self._thread = None
            return self._thread is not None
