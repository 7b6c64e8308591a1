"""The append-only file of a Redis server that does not start: what is broken in it, and how it is mended.

A server cuts off a half-written last command by itself. What a power cut may leave as well, such as a last
part full of zeros, it refuses, and names a program that mends it, which is not always installed. But the
server itself is that program when it is called by that name.

Standard library only: the supervisor needs this for as long as it lives.
"""

import logging
import re
import shlex
import subprocess
import time
from pathlib import Path

from flask_detector.errors import BrokerUnavailable

log = logging.getLogger(__name__)

# So much is cut off without asking: with `appendfsync everysec` at most a second is not on the disk.
_MOST_CUT = 1_000_000

_LAST_BYTES = 20_000
_BROKEN = re.compile(r"Bad file format reading the append only file ([^\s:]+)")
_CHECKED = re.compile(r"size=(\d+), ok_up_to=(\d+),")


def last_words(log_file: Path) -> str:
    """Return a sentence with the last warning of a server's log, and a space; nothing where there is none."""
    warnings = [line.partition(" # ")[2] for line in _end_of(log_file).splitlines() if " # " in line]
    return f"Its last words: {warnings[-1].strip()} " if warnings else ""


def mend(folder: Path, log_file: Path, server: str) -> bool:
    """Cut the broken end of the append-only file off, and keep it in a file beside.

    folder: the server's. server: its program.

    Returns whether something was cut off. Raises BrokerUnavailable where too much of it is broken.
    """
    broken = _BROKEN.findall(_end_of(log_file))
    found = next((path for path in folder.rglob(broken[-1]) if path.is_file()), None) if broken else None
    if found is None:
        return False
    told = _CHECKED.search(_check(server, found))
    if told is None:
        return False
    size, good = int(told[1]), int(told[2])
    if size - good > _MOST_CUT:
        raise BrokerUnavailable(
            f"Redis's log {found} is broken: of its {size} bytes only the first {good} can be read.",
            hint=f"Bring a copy back, or cut it there; what came later is lost: {_by_hand(server, found)}",
        )
    kept = found.with_name(f"{found.name}.cut-off-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        _cut_off(found, good, kept)
    except OSError as error:
        raise BrokerUnavailable(
            f"The end of Redis's log {found} is broken and could not be cut off: {error.strerror}.",
            hint="Make its disk writable, or free some of it, and start again.",
        ) from error
    log.warning(
        "The last %d bytes of Redis's log could not be read, as after a power cut, and were cut off: what "
        "came in the moment before may be lost. They are kept in %s",
        size - good,
        kept,
    )
    return True


def _cut_off(path: Path, good: int, kept: Path) -> None:
    kept.touch(0o600)
    with path.open("r+b") as file:
        file.seek(good)
        kept.write_bytes(file.read())
        file.truncate(good)


def _end_of(file: Path) -> str:
    """Return what a server wrote since it was started last."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - _LAST_BYTES))
            text = opened.read().decode(errors="replace")
    except OSError:
        return ""
    return text.rpartition(" is starting oO0Oo")[2]


def _check(server: str, file: Path) -> str:
    command = [_checker(server), str(file)]
    done = subprocess.run(
        command, executable=server, capture_output=True, text=True, errors="replace", check=False
    )
    return done.stdout


def _checker(server: str) -> str:
    return Path(server).name.replace("server", "check-aof")


def _by_hand(server: str, file: Path) -> str:
    checker = str(file.with_name(_checker(server)))
    words = [
        ["cp", "-p", str(file), f"{file}.broken"],
        ["ln", "-sf", server, checker],
        [checker, "--fix", str(file)],
    ]
    return " && ".join(map(shlex.join, words))
