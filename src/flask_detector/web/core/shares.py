"""What only so many requests may have at once, and of that one client only a part.

One client alone, however many requests it sends, so leaves something for the others.
"""

import threading
from collections import Counter
from collections.abc import Callable

from flask import has_request_context, request

from flask_detector.web.core.client_network import network_of


class Shares:
    """So many places, of which one network address has at most three quarters."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._most = max(1, number * 3 // 4)
        self._taken: Counter[str] = Counter()
        self._changed = threading.Condition()

    def take(self, *, patience: float = 0.0) -> Callable[[], None] | None:
        """Take a place for the current request's client; return what gives it back, None if there is none.

        patience: how long to wait for one, in seconds.
        """
        client = network_of(request.remote_addr) if has_request_context() else ""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._free > 0 and self._taken[client] < self._most, patience
            ):
                return None
            self._free -= 1
            self._taken[client] += 1
        return lambda: self._give_back(client)

    def _give_back(self, client: str) -> None:
        with self._changed:
            self._free += 1
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
            self._changed.notify_all()
