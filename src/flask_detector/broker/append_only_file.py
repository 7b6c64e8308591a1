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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Damage:
    """What can't be read of a file of a server's log.

    size: of the file, in bytes. good: as many can be read. server: the program that reads it.
    """

    path: Path
    size: int
    good: int
    server: str

    @property
    def may_be_cut_off(self) -> bool:
        """Whether it is but the end, which a power cut spoils."""
        return self.size - self.good <= _MOST_CUT

    @property
    def message(self) -> str:
        """What is the matter."""
        part = f"only the first {self.good} of its {self.size} bytes can be read"
        return f"Redis's append-only file {self.path} is damaged: {part}."

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.may_be_cut_off:
            return "'flask-detector serve' truncates it and keeps the rest in a file next to it."
        checker = str(self.path.with_name(_checker(self.server)))
        words = [
            ["cp", "-p", str(self.path), f"{self.path}.broken"],
            ["ln", "-sf", self.server, checker],
            [checker, "--fix", str(self.path)],
        ]
        by_hand = " && ".join(map(shlex.join, words))
        return f"Restore a backup, or truncate it there and lose the rest: {by_hand}"


def find_damage(folder: Path, server: str) -> Damage | None:
    """Return what is broken in the log of a server that does not run; None where all can be read.

    folder: the server's. server: its program.
    """
    files = [*folder.glob("appendonlydir/*.incr.aof"), *folder.glob("appendonly.aof")]
    return next((damage for file in files if (damage := _damage_of(file, server)) is not None), None)


def mend(folder: Path, log_file: Path, server: str) -> bool:
    """Cut the broken end of the append-only file off, and keep it in a file beside.

    log_file: of the messages of the server, which has just ended.

    Returns whether something was cut off. Raises BrokerUnavailable where too much of it is broken.
    """
    broken = _BROKEN.findall(_end_of(log_file))
    path = next((path for path in folder.rglob(broken[-1]) if path.is_file()), None) if broken else None
    damage = path and _damage_of(path, server)
    if not damage:
        return False
    if not damage.may_be_cut_off:
        raise BrokerUnavailable(damage.message, hint=damage.hint)
    kept = damage.path.with_name(f"{damage.path.name}.cut-off-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        _cut_off(damage.path, damage.good, kept)
    except OSError as error:
        raise BrokerUnavailable(
            f"The end of Redis's append-only file {damage.path} is damaged and could not be truncated: "
            f"{error.strerror}.",
            hint="Make its disk writable, or free some of it, and start again.",
        ) from error
    log.warning(
        "The last %d bytes of Redis's append-only file are unreadable, as after a power cut, and were "
        "truncated: the last writes may be lost. The bytes are kept in %s",
        damage.size - damage.good,
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


def _damage_of(path: Path, server: str) -> Damage | None:
    done = subprocess.run(
        [_checker(server), str(path)],
        executable=server,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    told = _CHECKED.search(done.stdout)
    if told is None or int(told[1]) == int(told[2]):
        return None
    return Damage(path, int(told[1]), int(told[2]), server)


def _checker(server: str) -> str:
    """Return the name by which a server is called to look at a log."""
    return Path(server).name.replace("server", "check-aof")
