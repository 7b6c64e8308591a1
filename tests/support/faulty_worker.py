"""A real worker that a picture can make fail: what its JPEG comment says is done before it is detected.

    python faulty_worker.py [elsewhere]

- ``die``: the process dies as if native code had crashed;
- ``hang``: native code hangs; ``hang hard``: it also holds the interpreter's lock;
- ``wait N``: the detection takes N seconds more;
- ``break``: an error that nobody thought of;
- ``take N``: the detection takes N megabytes of memory more; ``keep N``: they are never given back.

elsewhere: tell of no place, as a worker on another machine, whose death is known by its silence alone.

Where CLOCK_FILE names a file, all wall clocks of the process are off by as many seconds as stand in it. (The
library libfaketime can't do that: with it, Python 3.11's time.sleep fails.)
"""

import calendar
import ctypes
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import rq.utils
from PIL import Image

from flask_detector.broker.connection import connect
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.base import ORIGINAL
from flask_detector.worker import heartbeat, rq_worker
from flask_detector.worker.context import WorkerContext
from flask_detector.worker.detect import detect

STILL_SECONDS = 4.0


_KEPT: list[bytes] = []


def faulty_detect(
    context: WorkerContext, id: str, on_stage: Callable[[str], None], **options: Any
) -> dict[str, Any]:
    """Do what the picture's comment says first."""
    comment = Image.open(io.BytesIO(context.storage.get(id, ORIGINAL))).info.get("comment", b"").decode()
    if comment == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif comment == "hang":
        lock_twice(ctypes.CDLL(None))
    elif comment == "hang hard":
        lock_twice(ctypes.PyDLL(None))
    elif comment == "break":
        raise ZeroDivisionError("nobody thought of this")
    elif comment.startswith("wait "):
        time.sleep(float(comment.removeprefix("wait ")))
    elif comment.startswith(("take ", "keep ")):
        taken = b"\1" * (int(comment[5:]) << 20)
        if comment.startswith("keep "):
            _KEPT.append(taken)
    return detect(context, id, on_stage, **options)


def lock_twice(library: ctypes.CDLL) -> None:
    """Wait for ever, whatever signal comes: sleep(3) would end with the first one."""
    mutex = ctypes.create_string_buffer(128)  # zeros are an open pthread_mutex_t
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def off_by(file: Path) -> None:
    """Put clocks in the place of all that this program and RQ tell the time of day by."""

    def offset() -> float:
        return float(file.read_text())

    def moment() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=offset())

    true_time = time.time
    time.time = lambda: true_time() + offset()
    clocks = {"now": moment, "current_timestamp": lambda: calendar.timegm(moment().utctimetuple())}
    true_clocks = {clock: getattr(rq.utils, clock) for clock in clocks}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in {"rq", "flask_detector"}:
            for clock, replacement in clocks.items():
                if getattr(module, clock, None) is true_clocks[clock]:
                    setattr(module, clock, replacement)


def main() -> None:
    if clock_file := os.environ.get("CLOCK_FILE"):
        off_by(Path(clock_file))
    rq_worker.detect = faulty_detect  # type: ignore[attr-defined]  # it imports that
    heartbeat._STILL_SECONDS = STILL_SECONDS
    heartbeat._HANG_GRACE_SECONDS = 1.0
    if sys.argv[1:] == ["elsewhere"]:
        rq_worker.of_this_process = lambda: ""  # type: ignore[attr-defined]  # it imports that
    settings = Settings.from_environment()
    rq_worker.main(settings, connect(settings.required_redis_url), open_storage(settings))


if __name__ == "__main__":
    main()
