"""The response to what is not HTTP and so never reaches the application."""

import socket
from http import HTTPStatus
from typing import Any

from flask_detector.web.middleware.security import HEADERS


class Refusal:
    """A connection on which gunicorn's error page is sent as ours: without what was sent, with our headers.

    gunicorn's own repeats a part of the request, and a browser may show it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def sendall(self, page: bytes) -> None:
        """Send what there is to say in place of gunicorn's page."""
        status = HTTPStatus(int(page.split(maxsplit=2)[1]))
        text = f"{status.phrase}.\n"
        headers = {
            "Connection": "close",
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(text)),
            **HEADERS,
        }
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
        self._connection.sendall("\r\n".join([*lines, "", text]).encode())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
