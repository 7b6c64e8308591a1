"""A way to Redis that is cut at a command: before it arrives, or after it is done and before its answer."""

import contextlib
import io
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

Wanted = Callable[[int, bytes], bool]


class CuttingProxy:
    """Takes connections on `url` and hands commands on to the Redis behind a unix socket.

    What comes at once goes on at once, as in a pipeline, up to the command at which it is cut.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._changing = threading.Lock()
        self._open: set[socket.socket] = set()
        self._seen = 0
        self._wanted: Wanted = lambda number, command: False
        self._loses_answer = self._lasts = self._is_down = False
        self.has_cut = False
        threading.Thread(target=self._take, daemon=True).start()

    def cut(self, wanted: Wanted, *, loses_answer: bool, lasts: bool) -> None:
        """Cut at the first command that `wanted` tells by its number, from 0 on, and its bytes.

        loses_answer: whether Redis does the command. lasts: whether all is cut until `repair`, and not only
        that connection once.
        """
        with self._changing:
            self._seen, self._wanted, self.has_cut = 0, wanted, False
            self._loses_answer, self._lasts = loses_answer, lasts

    def repair(self) -> None:
        """Let everything through again."""
        with self._changing:
            self._is_down, self._wanted = False, lambda number, command: False

    def close(self) -> None:
        """Take no connection any more."""
        self._listener.close()
        self._end_all()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._is_down:
            client.close()
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        self._open |= {client, server}
        with contextlib.suppress(OSError, EOFError), client, server:
            answers = server.makefile("rb")
            for commands in _batches(client):
                through = list(itertools.takewhile(lambda command: not self._cuts(command), commands))
                server.sendall(b"".join(through))
                client.sendall(b"".join(_value(answers) for _ in through))
                if len(through) < len(commands):
                    if self._loses_answer:
                        server.sendall(commands[len(through)])
                        _value(answers)
                    break
            else:
                return
            if self._lasts:
                self._end_all()
        self._open -= {client, server}

    def _cuts(self, command: bytes) -> bool:
        with self._changing:
            if self._is_down:  # cut by another connection, a moment ago
                raise EOFError
            number, self._seen = self._seen, self._seen + 1
            if self.has_cut or not self._wanted(number, command):
                return False
            self.has_cut, self._is_down = True, self._lasts
            return True

    def _end_all(self) -> None:
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _batches(client: socket.socket) -> Iterator[list[bytes]]:
    """Yield the commands that have come at once."""
    data = b""
    while received := client.recv(1 << 20):
        data += received
        stream, commands = io.BytesIO(data), []
        with contextlib.suppress(EOFError):
            while True:
                commands.append(_value(stream))
        data = data[sum(map(len, commands)) :]
        yield commands


def _value(stream: BinaryIO) -> bytes:
    """Return the bytes of the next command or answer (RESP2 and RESP3)."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind, size = line[:1], line[1:-2]
    if kind in b"$=!" and size != b"-1":
        text = stream.read(int(size) + 2)
        if len(text) < int(size) + 2:
            raise EOFError
        return line + text
    if kind in b"*~>%|" and size != b"-1":
        count = int(size) * (2 if kind in b"%|" else 1) + (kind == b"|")
        return line + b"".join(_value(stream) for _ in range(count))
    return line
