"""How a process tells the supervisor that started it that it is ready: a byte through a pipe.

Standard library only: the supervisor needs this for as long as it lives.
"""

import os

VARIABLE = "FLASK_DETECTOR_READY"


def tell() -> None:
    """Tell whoever started this process with a pipe, once; without one there is nobody to tell."""
    file = os.environ.pop(VARIABLE, None)
    if file is not None:
        os.write(int(file), b"1")
        os.close(int(file))


def is_told(pipe: int) -> bool:
    """Tell whether the process at the other end of a pipe is ready."""
    try:
        return os.read(pipe, 1) != b""
    except BlockingIOError:
        return False
