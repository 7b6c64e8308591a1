"""The process that teaches is paused while any worker on its machine detects.

On the other thread of the same core it made a detection up to 15% slower. A FIFO in the data folder says that
somebody detects: each worker holds it open for writing meanwhile, and the system closes it for one that dies.
The worker whose child teaches reads it. Where nobody teaches, nobody reads it, and it can't be opened.
"""

import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Final

# While pictures come, it is paused so long at most before it may run for a moment: it has to tell in time
# that it lives.
_MOST_PAUSED_SECONDS: Final = 3.0
_BREATH_SECONDS: Final = 0.3


def fifo_in(data_dir: Path) -> Path:
    """Return where the FIFO of an installation lies."""
    return data_dir / "teach" / ".detecting"


@contextmanager
def detecting(fifo: Path) -> Iterator[None]:
    """Pause the process that teaches on this machine, if there is one, within the block."""
    try:
        held = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # nobody reads it
        yield
        return
    try:
        yield
    finally:
        os.close(held)


class Pauser(threading.Thread):
    """Pauses a child process while the FIFO is held open, until that process has ended."""

    def __init__(self, process: "subprocess.Popen[bytes]", fifo: Path) -> None:
        super().__init__(name="pauser", daemon=True)
        self._process, self._fifo = process, fifo
        fifo.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.mkfifo(fifo)
        # With one more reader it can be opened for writing also while the thread is between two detections.
        self._reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    def run(self) -> None:
        """Pause it."""
        try:
            since = resumed = float("-inf")
            while self._process.poll() is None:
                with self._fifo.open("rb", buffering=0) as held:  # returns once somebody detects
                    now = time.monotonic()
                    since = now if now - resumed >= _BREATH_SECONDS else since
                    while not self._was_paused(held.fileno(), since + _MOST_PAUSED_SECONDS):
                        time.sleep(_BREATH_SECONDS)
                        since = time.monotonic()
                    resumed = time.monotonic()
        finally:
            os.close(self._reader)

    def _was_paused(self, held: int, deadline: float) -> bool:
        """Pause it until nobody holds the FIFO open, and tell that; or until the deadline."""
        self._process.send_signal(SIGSTOP)
        try:
            # Nothing is ever written: only the end can be read.
            return bool(select.select([held], [], [], max(0.0, deadline - time.monotonic()))[0])
        finally:
            self._process.send_signal(SIGCONT)
