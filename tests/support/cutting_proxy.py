"""A way to Redis that is cut at a command: before it arrives, or after it is done and before its answer."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from io import BufferedReader

Wanted = Callable[[int, bytes], bool]


class CuttingProxy:
    """Takes connections on `url` and hands commands on to the Redis behind a unix socket, one by one."""

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
            for command in _values(client.makefile("rb")):
                cuts = self._cuts(command)
                if cuts and not self._loses_answer:
                    break
                server.sendall(command)
                answer = next(_values(answers))
                if cuts or self._is_down:
                    break
                client.sendall(answer)
            else:
                return
            if self._lasts:
                self._end_all()
        self._open -= {client, server}

    def _cuts(self, command: bytes) -> bool:
        with self._changing:
            number, self._seen = self._seen, self._seen + 1
            if self.has_cut or not self._wanted(number, command):
                return False
            self.has_cut, self._is_down = True, self._lasts
            return True

    def _end_all(self) -> None:
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _values(stream: BufferedReader) -> Iterator[bytes]:
    """Yield the bytes of one command or answer after the other (RESP2 and RESP3)."""
    with contextlib.suppress(EOFError):
        while True:
            yield _value(stream)


def _value(stream: BufferedReader) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind, size = line[:1], line[1:-2]
    if kind in b"$=!" and size != b"-1":
        return line + stream.read(int(size) + 2)
    if kind in b"*~>%|" and size != b"-1":
        count = int(size) * (2 if kind in b"%|" else 1) + (kind == b"|")
        return line + b"".join(_value(stream) for _ in range(count))
    return line
