"""A Redis server that is started here, with its data in the data folder.

Standard library only: the supervisor needs this for as long as it lives.
"""

import os
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from flask_detector.broker.append_only_file import last_words, mend
from flask_detector.broker.server_program import Server, find_server, written_by
from flask_detector.errors import BrokerUnavailable

# What lies in Redis opens things: webhooks' secrets, shared links.
UMASK = 0o077
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600

_START_SECONDS = 20.0
_ANSWER_SECONDS = 1.0

_SOCKET = "redis.sock"
_TEMPORARY = "flask-detector-"


class LocalRedis:
    """A Redis server of our own: a child process on a private unix socket that writes each change to disk.

    sync: whether a change is on the disk before it is answered, and not only within a second.
    """

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self._sync = sync
        self._folder = folder.absolute()
        self._log = self._folder / "redis.log"
        # Says where the socket is, where it can't be in the folder itself.
        self._elsewhere = self._folder / "redis.sock.path"

    @property
    def url(self) -> str:
        """The address for REDIS_URL; before the first start it may be another one than afterwards."""
        return f"unix://{quote(os.fsencode(self._socket))}"

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground; to be run with UMASK.

        Raises BrokerUnavailable where there is no server, or no place for its socket.
        """
        self._make_private()
        self._find_place_for_socket()
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always" if self._sync else "everysec",
            "save": "",
            "logfile": str(self._log),
            "daemonize": "no",
        }
        return [
            self._server().path,
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]

    def wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        """Return when the server answers; raise BrokerUnavailable when it ends or takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            answer = self._answer()
            if answer.startswith(b"+PONG"):
                return
            if answer.startswith(b"-LOADING"):  # it may have much to read
                deadline = time.monotonic() + _START_SECONDS
            time.sleep(0.02)
        server, writer = self._server(), written_by(self._folder)
        if not server.release.surely_reads(writer):
            raise BrokerUnavailable(
                f"The data in {self._folder} were written by {writer}, and {server.release} can't read them.",
                hint=f"Install {writer} or newer, or move that folder away, which loses the queue and all "
                "results.",
            )
        raise BrokerUnavailable(
            "The Redis server that was started does not respond.",
            hint=f"{last_words(self._log)}Its log is {self._log}.",
        )

    def mend(self) -> bool:
        """Tell whether a server that has ended would start now, since the broken end of its log was cut off.

        Raises BrokerUnavailable where more of it is broken than may be cut off without asking.
        """
        return mend(self._folder, self._log, self._server().path)

    def remove_socket_folder(self) -> None:
        """Delete the temporary folder of the socket, where one was needed."""
        with suppress(OSError):
            place = self._socket
            self._elsewhere.unlink()
            place.unlink(missing_ok=True)
            if place.parent.name.startswith(_TEMPORARY):
                place.parent.rmdir()

    def _server(self) -> Server:
        return find_server(self._folder)

    @property
    def _socket(self) -> Path:
        try:
            return Path(self._elsewhere.read_text())
        except OSError:
            return self._folder / _SOCKET

    def _make_private(self) -> None:
        self._folder.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
        for path in (self._folder, *self._folder.rglob("*")):
            if not path.is_symlink():  # what it leads to is none of ours
                with suppress(PermissionError, FileNotFoundError):  # a volume that somebody else owns
                    path.chmod(_PRIVATE_FOLDER if path.is_dir() else _PRIVATE_FILE)

    def _find_place_for_socket(self) -> None:
        """Let the socket be in a temporary folder where the data folder can hold none.

        The path of a socket is short, some file systems have no sockets, and an address is UTF-8.
        """
        self.remove_socket_folder()  # of a server that was killed
        if _can_hold_socket(self._folder):
            return
        for folder in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  # a folder of its own is made there
            place = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=folder))
            if _can_hold_socket(place):
                self._elsewhere.write_text(str(place / _SOCKET))
                return
            place.rmdir()
        raise BrokerUnavailable(
            f"Neither {self._folder} nor the folder for temporary files can hold Redis's socket.",
            hint="Set TMPDIR to a folder with a short path, or REDIS_URL to a running Redis.",
        )

    def _answer(self) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64)
            except OSError:  # no socket yet
                return b""


def _can_hold_socket(folder: Path) -> bool:
    probe = folder / "probe.sock"  # a path as long as the socket's
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            os.fsencode(probe).decode()
            probe.unlink(missing_ok=True)
            listener.bind(os.fsencode(probe))
            probe.unlink()
        except (OSError, UnicodeDecodeError):
            return False
    return True
