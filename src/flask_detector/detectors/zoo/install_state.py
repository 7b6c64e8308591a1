"""What is going on with a model's files, told between processes by a lock and a small file."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from flask_detector.atomic_files import write_whole

_SECONDS_BETWEEN_WRITES = 0.3

# How a process ends whose work on a model was cancelled by SIGTERM.
CANCELLED_STATUS = 143


class Stage(StrEnum):
    """How far a model is on its way to being used."""

    EMBEDDED = "embedded"
    ABSENT = "absent"
    DOWNLOADING = "downloading"
    CONVERTING = "converting"
    INSTALLED = "installed"
    FAILED = "failed"


@dataclass(frozen=True)
class ModelState:
    """A model's stage and how far it got.

    done, total: bytes of the file, or percent while converting; an absent model has `done` bytes of an
    interrupted download. A total that is not known is None.
    note: why it failed, or why it waits; written for users, else empty.
    """

    stage: Stage
    done: int = 0
    total: int | None = None
    note: str = ""

    @property
    def fraction(self) -> float | None:
        """The share that is done, in 0..1, or None if the whole is not known."""
        return min(1.0, self.done / self.total) if self.total else None


OnState = Callable[[ModelState], None]


def is_locked(path: Path) -> bool:
    """Tell whether some process (or another part of this one) holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared, so that two who only look don't take each other for a holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def locked(path: Path, *, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of that file; the kernel drops it when the process ends, however it ends.

    The file is made when it is missing and never deleted: who waited on a deleted one would hold nothing.
    while_waiting: called now and then as long as another one holds the lock; it may raise to give up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                while_waiting()
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


class StateFile:
    """The state that the holder of a model's lock last told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: ModelState | None = None
        self._written_at = 0.0

    def read(self) -> ModelState | None:
        """Return the last told state, or None."""
        try:
            form = json.loads(self._path.read_text(encoding="utf-8"))
            return ModelState(Stage(form["stage"]), form["done"], form["total"], form["note"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, state: ModelState) -> None:
        """Tell the state; of quick successive ones of the same stage only some are written.

        A state that can't be written is not told: a full disk must not hide what happens on it.
        """
        now = time.monotonic()
        same = self._written is not None and (self._written.stage, self._written.note) == (
            state.stage,
            state.note,
        )
        if same and now - self._written_at < _SECONDS_BETWEEN_WRITES:
            return
        with suppress(OSError):
            write_json(self._path, asdict(state))
        self._written, self._written_at = state, now

    def clear(self) -> None:
        """Tell nothing any more."""
        self._path.unlink(missing_ok=True)
        self._written = None


def write_json(path: Path, document: object) -> None:
    """Write a small JSON file; a reader finds the old or the new one, never a part."""
    write_whole(path, f"{json.dumps(document, indent=2)}\n".encode())
