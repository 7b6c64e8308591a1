"""The process that mutated files are given to: it may die, and then the parent knows of which file."""

import json
import os
import resource
import struct
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Far more than these small files need; a file that wants it all is refused by the system, not by luck.
ADDRESS_SPACE = 3 << 30


def read_picture() -> Callable[[bytes], str]:
    """Return what an upload goes through: the check of the web process, then the worker's decoding."""
    from flask_detector import images
    from flask_detector.errors import PictureError

    limits = images.Limits(4_000_000, 4_000_000)

    def run(data: bytes) -> str:
        outcome = "used"
        try:
            images.check(data, limits)
        except PictureError as error:
            outcome = error.code
        try:
            picture, info = images.decode(data, limits)
            if picture.shape != (info.height, info.width, 3):
                raise RuntimeError(f"{picture.shape} is not {info.width}x{info.height}")
            images.change(data, limits, None)
        except PictureError as error:
            return error.code
        return outcome

    return run


def read_weights() -> Callable[[bytes], str]:
    """Return what a checkpoint goes through until the first array is folded."""
    from flask_detector.detectors.mask_rcnn.checkpoint import read_checkpoint
    from flask_detector.detectors.mask_rcnn.recognise import recognise
    from flask_detector.errors import CheckpointError, ForeignCheckpoint

    path = Path(tempfile.mkdtemp(prefix="fuzz-")) / "file.pth"

    def run(data: bytes) -> str:
        path.write_bytes(data)
        try:
            checkpoint = read_checkpoint(path)
            for tensor in checkpoint.tensors.values():
                tensor.array().sum()
            recognise(checkpoint)
        except ForeignCheckpoint:
            return "used"  # read whole; that it holds two tensors of a network is then noticed
        except CheckpointError as error:
            return error.code
        return "used"

    return run


def read_result() -> Callable[[bytes], str]:
    """Return what a result's JSON form goes through, with each of its masks."""
    from flask_detector.detections import Detections

    def run(data: bytes) -> str:
        try:
            form: Any = json.loads(data)
        except (ValueError, RecursionError):
            return "no JSON"
        try:
            Detections.from_json(form).to_json()
        except ValueError:
            return "ValueError"
        return "used"

    return run


def run_python() -> Callable[[bytes], str]:
    """Return what runs Python instead of reading a file: for the test that harm is noticed."""

    def run(data: bytes) -> str:
        exec(data.decode())  # noqa: S102  # the test's own lines
        return "used"

    return run


TARGETS = {"pictures": read_picture, "checkpoints": read_weights, "results": read_result}


def main(target: str) -> None:
    """Take files from stdin and tell on stdout what became of each: a JSON line."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    run = (TARGETS | {"python": run_python})[target]()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not answer in our place
    while len(head := sys.stdin.buffer.read(4)) == 4:
        data = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
        try:
            answer = {"outcome": run(data)}
        except BaseException as error:  # whatever it is, it is what we look for
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}, line {where.lineno}"
            answer = {"error": f"{type(error).__name__} in {place}: {error}"[:300]}
        answer["peak_kb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # type: ignore[assignment]
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
