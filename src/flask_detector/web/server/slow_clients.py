"""An end to clients that are slower than any network: each one would keep a thread of the web process busy.

gunicorn's threads wait without limit for a request that has begun to come. Here its beginning must be there
within some seconds, and what follows must come faster than the slowest mobile network.
"""

import errno
import socket
import sys
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from flask_detector.web.server.bad_requests import Refusal

# A request may take this long, and a second more for each so many bytes of it.
_GRACE_SECONDS = 15.0
_BYTES_A_SECOND = 4096

# How long the system tries to send what the other side does not take, in milliseconds.
_SEND_MILLISECONDS = 60_000


class PacedSocket(socket.socket):
    """A connection on which a request must come in at a pace."""

    began = 0.0
    received = 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return what has come; raise ConnectionResetError when the request takes too long."""
        if self.gettimeout() is not None:  # gunicorn has a limit of its own for this
            return super().recv(size, flags)
        left = self.began + _GRACE_SECONDS + self.received / _BYTES_A_SECOND - time.monotonic()
        try:
            self.settimeout(max(left, 0.001))
            data = super().recv(size, flags)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the request comes too slowly") from error
        finally:
            self.settimeout(None)
        self.received += len(data)
        return data


class PatientWorker(ThreadWorker):
    """gunicorn's worker with threads, whose patience has an end."""

    def handle(self, conn: Any) -> Any:
        """Answer a request; its time begins now."""
        if not isinstance(conn.sock, PacedSocket):
            timeout = conn.sock.gettimeout()
            conn.sock = PacedSocket(fileno=conn.sock.detach())
            conn.sock.settimeout(timeout)
            if sys.platform == "linux" and conn.sock.family != socket.AF_UNIX:
                conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SEND_MILLISECONDS)
        conn.sock.began, conn.sock.received = time.monotonic(), 0
        return super().handle(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is no proper request."""
        super().handle_error(req, Refusal(client), addr, exc)
