"""Pictures that take much memory to decode are decoded by a process of its own, which ends with its memory.

What decoders hold of a picture of 24 megapixels would be most of what a detector's process takes. The file
comes on standard input, the pixels go to a temporary file; answered is `{}` or `{"code", "message", "hint"}`.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile

from PIL import Image

from flask_detector.errors import DamagedPicture, DetectorError, TooManyPixels, kind_of
from flask_detector.imaging.large_pictures import decoded, decoding_bytes, is_large
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.open_picture import bytes_of, opened
from flask_detector.imaging.pixels import Pixels, StoredPixels, strips
from flask_detector.process.available_memory import available
from flask_detector.process.memory import resident_bytes

# What the process takes beside a picture.
BYTES_OF_PROCESS = 40_000_000
# To start it takes a fifth of a second: it is for what would make this process larger than that.
MOST_BYTES = 240_000_000
# What decoding row by row takes, and how many copies of the file there are meanwhile.
_BYTES_OF_ROWS = 30_000_000
_COPIES = 3


def is_worth_a_process(image: Image.Image, data: bytes) -> bool:
    """Tell whether to decode a picture, of which `data` is the file, makes this process a large one.

    No, where there is no room for another process.
    """
    if not is_large(image):
        return False
    needed, free = decoding_bytes(image, data), available()
    most = resident_bytes() + (needed or _BYTES_OF_ROWS) + _COPIES * len(data)
    return most > MOST_BYTES and (free is None or needed + BYTES_OF_PROCESS < free)


def decoded_apart(data: bytes, limits: Limits, *, width: int, height: int) -> Pixels | None:
    """Return the pixels of a picture's file; None where there is no room for a temporary file.

    width, height: of the picture, upright.

    Raises DamagedPicture, UnsupportedPicture or TooManyPixels.
    """
    with suppress(OSError), ExitStack() as on_failure:
        file = on_failure.enter_context(TemporaryFile(buffering=0))
        command = [sys.executable, "-m", __name__, str(file.fileno())]
        done = subprocess.run(
            [*command, str(limits.max_bytes), str(limits.max_pixels)],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[file.fileno()],
            check=False,
        )
        if done.returncode == -signal.SIGKILL:
            raise TooManyPixels("The picture needs more memory than there is.")
        if done.returncode < 0:
            raise DamagedPicture("The decoder broke down over the picture; nothing else was harmed.")
        if done.returncode == 0:
            if answer := json.loads(done.stdout):
                raise kind_of(answer["code"])(answer["message"], hint=answer["hint"])
            on_failure.pop_all()
            return StoredPixels(file, columns=width, rows=height)
    return None


def main() -> None:
    """Decode the picture on standard input: into which file, within which limits the arguments say."""
    place, *limits = map(int, sys.argv[1:])
    with suppress(OSError):
        # If the machine runs out of memory, this is the process to end.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        with opened(sys.stdin.buffer.read(), Limits(*limits)) as (image, file):
            pixels = decoded(image, bytes_of(file))
    except DetectorError as error:
        json.dump({"code": error.code, "message": error.message, "hint": error.hint}, sys.stdout)
        return
    with os.fdopen(place, "wb") as stored:
        for first, last in strips(pixels.columns, pixels.rows):
            stored.write(pixels[first:last].data)
    json.dump({}, sys.stdout)


if __name__ == "__main__":
    main()
