"""A connection with a minimum transfer rate, below which it is closed.

What a client has not taken of its answer moves to a temporary file, so that the thread that made the answer
can make the next one. All those files share one room.
"""

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import tempfile
import termios
import time
from typing import Any

from flask_detector.web.core.quota import Quota

# A request may take this long, and a second more for each so many bytes of it; an answer likewise. No more is
# ever saved up than that: nobody sends a megabyte quickly and then keeps a thread for minutes.
RECEIVE_SECONDS = 15.0
SEND_SECONDS = 30.0
BYTES_A_SECOND = 4096

# An answer is waited for so long before what is left of it goes to a file.
_PATIENCE_SECONDS = 0.25

# Pictures and Redis's log may lie on the same disk: this part of it is left to them.
_FREE_PART = 0.1

_PIECE = 1 << 18
_LONGEST_HEAD = 1 << 16


class Pace:
    """The seconds that a client has left; it earns more by the bytes that move."""

    def __init__(self, seconds: float) -> None:
        self._most = seconds
        self._until = time.monotonic() + seconds

    def moved(self, count: int) -> None:
        """Count bytes."""
        self._until = min(time.monotonic() + self._most, self._until + count / BYTES_A_SECOND)

    @property
    def left(self) -> float:
        """The seconds that are left, none or less when the time is over."""
        return self._until - time.monotonic()


class PacedSocket(socket.socket):
    """A connection on which requests and answers must move.

    It is used by one thread at a time: by the one that answers, and between answers by the server's loop.
    """

    def __init__(self, connection: socket.socket, room: Quota, client: str) -> None:
        super().__init__(fileno=connection.detach())
        self.setblocking(False)
        self.client = client
        self._room = room
        self._ahead = bytearray()
        self._rest: int | None = None
        self._written = self._read = 0
        self.begin()

    def begin(self, ahead: bytes = b"") -> None:
        """Begin with a request, of which so much has been read already."""
        self._ahead[:0] = ahead
        self.begin_receiving()
        self._sending: Pace | None = None
        self._patient_until = 0.0
        self._handed = self._acknowledged = 0

    def begin_receiving(self) -> None:
        """Let the client's time for what is left of its request begin now."""
        self._receiving = Pace(RECEIVE_SECONDS)

    def gather(self) -> bool:
        """Take in what has come of a request's head without waiting; return whether it can be answered now.

        Raises OSError when no more will come.
        """
        if self._ahead and _is_head(self._ahead, 0):
            return True
        try:
            data = super().recv(8192)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "no request came")
        seen = len(self._ahead)
        self._ahead += data
        return _is_head(self._ahead, max(0, seen - 3))

    @property
    def ahead(self) -> bytes:
        """What has come and was not read yet."""
        return bytes(self._ahead)

    @property
    def seconds_to_receive(self) -> float:
        """How long the client may still take for its request."""
        return self._receiving.left

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return what has come; raise ConnectionResetError when the request takes too long."""
        if self._ahead:
            data = bytes(self._ahead[:size])
            del self._ahead[:size]
            return data
        if self.gettimeout() is not None:  # gunicorn has a limit of its own for this
            return super().recv(size, flags)
        try:
            self.settimeout(max(self._receiving.left, 0.001))
            data = super().recv(size, flags)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the request arrives too slowly") from error
        finally:
            self.settimeout(None)
        self._receiving.moved(len(data))
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send bytes, or keep what is not taken at once; raise ConnectionResetError if that is too slow."""
        before = self.gettimeout()
        view = memoryview(data).cast("B")
        if self._rest is None and not _in_flight(
            self
        ):  # an answer that is made slowly is not the client's fault
            self._sending = None
        try:
            self.setblocking(False)
            while view:
                if not self.send_rest() or not (sent := self._send_now(view)):
                    if self._is_patient():
                        _wait(self, _PATIENCE_SECONDS)
                    elif self._keep(view):
                        return
                    else:
                        self._wait_for_client()
                    continue
                view = view[sent:]
        finally:
            self.settimeout(before)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a part of a file."""
        file.seek(offset)
        left = count if count is not None else os.fstat(file.fileno()).st_size - offset
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            self.sendall(piece)
            left -= len(piece)
        sent: int = file.tell() - offset
        return sent

    def send_rest(self) -> bool:
        """Send what was kept, as far as the client takes it now; return whether that was all."""
        while self._rest is not None:
            try:
                sent = os.sendfile(self.fileno(), self._rest, self._read, _PIECE)
            except BlockingIOError:
                return False
            if sent == 0:
                raise ConnectionResetError(errno.ECONNRESET, "the file of an answer was cut short")
            self._handed += sent
            self._read += sent
            if self._read == self._written:
                self._forget_rest()
        return True

    @property
    def has_rest(self) -> bool:
        """Whether something was kept that the client has not taken yet."""
        return self._rest is not None

    @property
    def seconds_to_send(self) -> float:
        """How long the client may still take for its answer."""
        if self._sending is None:
            self._sending = Pace(SEND_SECONDS)
        acknowledged = self._handed - _in_flight(self)
        self._sending.moved(max(0, acknowledged - self._acknowledged))
        self._acknowledged = max(self._acknowledged, acknowledged)
        return self._sending.left

    @property
    def is_taken(self) -> bool:
        """Whether the client has all that was sent."""
        return self._rest is None and not _in_flight(self)

    def abort(self) -> None:
        """Close the connection and forget what is not taken, which the system would go on sending."""
        with contextlib.suppress(OSError):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the connection, and let go of what was kept for it."""
        self._forget_rest()
        super().close()

    def _send_now(self, view: memoryview) -> int:
        try:
            sent = super().send(view[:_PIECE])
        except BlockingIOError:
            return 0
        self._handed += sent
        return int(sent)

    def _is_patient(self) -> bool:
        if not self._patient_until:
            self._patient_until = time.monotonic() + _PATIENCE_SECONDS
        return time.monotonic() < self._patient_until

    def _keep(self, view: memoryview) -> bool:
        """Put bytes behind what is kept already, if there is room."""
        if not self._room.take(self.client, len(view)):
            return False
        try:
            if self._rest is None:
                self._rest = _temporary_file()
            if _part_free(self._rest) < _FREE_PART:
                raise OSError(errno.ENOSPC, "the rest of the disk is for pictures")
            place = self._written
            while place < self._written + len(view):
                place += os.pwrite(self._rest, view[place - self._written :], place)
        except OSError:
            self._room.give_back(self.client, len(view))
            if not self._written:
                self._forget_rest()
            return False
        self._written += len(view)
        return True

    def _wait_for_client(self) -> None:
        if self.seconds_to_send <= 0:
            self.abort()
            raise ConnectionResetError(errno.ECONNRESET, "the response is read too slowly")
        _wait(self, 1.0)

    def _forget_rest(self) -> None:
        if self._rest is not None:
            os.close(self._rest)
            self._room.give_back(self.client, self._written)
        self._rest, self._written, self._read = None, 0, 0


def _is_head(data: bytearray, start: int) -> bool:
    """Return whether a request's head is there, or so much that it is none."""
    has_bare_ends = b"\n" in data[start:] and data.count(b"\n") != data.count(b"\r\n")
    return data.find(b"\r\n\r\n", start) >= 0 or has_bare_ends or len(data) > _LONGEST_HEAD


def _wait(connection: socket.socket, seconds: float) -> None:
    """Wait until a connection takes more, for some seconds at most."""
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    poll.poll(seconds * 1000)


def _temporary_file() -> int:
    descriptor, path = tempfile.mkstemp(prefix="flask-detector-answer-")
    os.unlink(path)
    return descriptor


def _part_free(file: int) -> float:
    disk = os.fstatvfs(file)
    return disk.f_bavail / max(disk.f_blocks, 1)


def _in_flight(connection: socket.socket) -> int:
    """Return how many bytes the other side has not acknowledged, 0 where the system does not say."""
    with contextlib.suppress(OSError):
        found: int = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]
        return found
    return 0
