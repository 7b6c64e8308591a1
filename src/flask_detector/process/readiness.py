"""A process reports to the supervisor that it is ready: a byte through a pipe.

Standard library only, to keep the supervisor small.
"""

import os

VARIABLE = "FLASK_DETECTOR_READY"


def report() -> None:
    """Report it once, if the process was started with a pipe."""
    file = os.environ.pop(VARIABLE, None)
    if file is not None:
        os.write(int(file), b"1")
        os.close(int(file))


def is_reported(pipe: int) -> bool:
    """Return whether the process at the other end of a pipe is ready."""
    try:
        return os.read(pipe, 1) != b""
    except BlockingIOError:
        return False
