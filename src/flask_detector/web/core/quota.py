"""Quotas of what all requests share: threads that wait or draw, memory for bodies, disk for responses."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from flask import has_request_context, request

from flask_detector.errors import ServiceError
from flask_detector.web.core.client_network import network_of

_RETRY_SECONDS = 5


class Quota:
    """So many units, of which one client has at most a part.

    is_reentrant: whether a request that holds a unit needs no other.
    """

    def __init__(self, size: int, *, client_part: float = 0.75, is_reentrant: bool = False) -> None:
        self.size = size
        self._free = size
        self._client_limit = max(1, int(size * client_part))
        self._taken: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._is_reentrant = is_reentrant
        # Not in Flask's `g`, which is gone when a response that was streamed is closed.
        self._is_held: ContextVar[bool] = ContextVar("is_held", default=False)

    def take(self, client: str, amount: int = 1, *, patience: float = 0.0) -> bool:
        """Take units if there are so many within `patience` seconds."""
        with self._changed:
            is_free = self._changed.wait_for(
                lambda: amount <= self._free and self._taken[client] + amount <= self._client_limit, patience
            )
            if is_free:
                self._free -= amount
                self._taken[client] += amount
            return is_free

    def give_back(self, client: str, amount: int = 1) -> None:
        """Let others have the units."""
        with self._changed:
            self._free += amount
            self._taken[client] -= amount
            if not self._taken[client]:
                del self._taken[client]
            self._changed.notify_all()

    @contextmanager
    def held(self, refusal: str, *, patience: float = 0.0) -> Iterator[None]:
        """Hold a unit for the current request within the block.

        Raises ServiceError with the refusal where none is free.
        """
        if self._is_reentrant and self._is_held.get():
            yield
            return
        client = network_of(request.remote_addr) if has_request_context() else ""
        if not self.take(client, patience=patience):
            raise ServiceError(refusal, retry_after=_RETRY_SECONDS)
        try:
            self._is_held.set(True)
            yield
        finally:
            self._is_held.set(False)
            self.give_back(client)
