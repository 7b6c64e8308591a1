"""Request bodies, read on demand: "100 Continue", and closing a connection with an unread body."""

from collections.abc import Callable
from typing import Any

from gunicorn.http.errors import InvalidHeader, ParseException

from flask_detector.errors import RequestError

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class AskedBody:
    """A request's body, in the place of gunicorn's reader of it.

    "100 Continue" is sent when the body is first read: a refusal comes before the body.
    """

    def __init__(self, request: Any, connection: Any) -> None:
        self._request = request
        self._connection = connection
        self._reader = request.body.reader
        self._is_awaited = request._expected_100_continue
        request._expected_100_continue = False  # gunicorn would say so at once
        request.body.reader = self

    def read(self, size: int) -> bytes:
        """Return the next bytes; raises RequestError for what is no body by HTTP's rules."""
        if self._is_awaited and not self._is_read():
            self._connection.sendall(_CONTINUE)
        self._is_awaited = False
        try:
            data: bytes = self._reader.read(size)
        except ParseException as error:
            raise RequestError(
                "The request's body is not in the chunks that HTTP knows.",
                hint="Let your HTTP client make them, or send Content-Length instead.",
            ) from error
        return data

    def close_unless_read(self) -> None:
        """Have the answer say that the connection ends, where the rest of the body would be waited for."""
        if self.is_failed or not (self._is_read() or self._is_here()):
            self._request.force_close()

    @property
    def is_failed(self) -> bool:
        """Whether where the next request begins is no longer known."""
        return bool(self._request.body.failed)

    def _is_read(self) -> bool:
        if hasattr(self._reader, "length"):
            return bool(self._reader.length == 0)
        return self._reader.parser is None

    def _is_here(self) -> bool:
        if not hasattr(self._reader, "length") or self._is_awaited:
            return False
        here = self._request.unreader.buf.getbuffer().nbytes + len(self._connection.ahead)
        return bool(self._reader.length <= here)


def check_host(request: Any) -> None:
    """Raise what gunicorn answers with 400 for a request of HTTP/1.1 that names no host."""
    if request.version >= (1, 1) and not any(name == "HOST" for name, _ in request.headers):
        raise InvalidHeader("HOST", req=request)


def closing(app: Callable[..., Any]) -> Callable[..., Any]:
    """Return the application, whose answers say that the connection ends where the body was not read."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body: AskedBody = environ["wsgi.input"].reader

        def start(*args: Any) -> Any:
            body.close_unless_read()
            return start_response(*args)

        return app(environ, start)

    return answer
