"""Places for requests that make pictures: so many may be at it or wait for their turn, and no more.

Each one keeps a thread of the web process busy. Were there no limit, a few dozen drawings of large pictures
would keep all of them, and nobody could send a picture or even learn that the process lives.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from flask_detector.errors import ServiceError
from flask_detector.web.core.shares import Shares

# A page of many small pictures asks for all of them at once: they are made faster than this.
_PATIENCE_SECONDS = 0.5

_RETRY_SECONDS = 5

# Each request has a thread. Not in Flask's `g`, which is gone when a response that was streamed is closed.
_has_one: ContextVar[bool] = ContextVar("has_one", default=False)


class Places:
    """The places of one web process."""

    def __init__(self, number: int) -> None:
        self._shares = Shares(number)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Have a place within the block; a request that has one already needs no other.

        Raises ServiceError where none is free.
        """
        if _has_one.get():
            yield
            return
        give_back = self._shares.take(patience=_PATIENCE_SECONDS)
        if give_back is None:
            raise ServiceError("Too many pictures are being drawn.", retry_after=_RETRY_SECONDS)
        token = _has_one.set(True)
        try:
            yield
        finally:
            _has_one.reset(token)
            give_back()
