"""Exported files are read by a process of its own, with bounds on its memory and time.

The engine that reads them is native code, and what a file makes it compute is the file's choice. Asked on
standard input for `{"file", "folder", "variant", "labels", "options"}`; answers the reading, or
`{"code", "message", "hint"}`.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flask_detector.detectors.checkpoint.foreign_files import ONNX, OPENVINO
from flask_detector.detectors.reading import Reading
from flask_detector.errors import CheckpointError, DetectorError, kind_of

# Far more than reading and trying takes: of address space, beside some times the file's own size.
_BYTES = 6 << 30
_TIMES_THE_FILE = 8
_SECONDS = 120  # of processor time; a busy machine may take
_SECONDS_IN_ALL = 5 * _SECONDS

_SIMPLER = "No detector should need so much; export it again."


def is_exported(file: Path) -> bool:
    """Tell whether a file is ONNX or OpenVINO's, by its first bytes."""
    try:
        with file.open("rb") as content:
            head = content.read(512)
    except OSError:
        return False
    return re.match(ONNX, head, re.DOTALL) is not None or re.match(OPENVINO, head, re.DOTALL) is not None


def main_file(files: Sequence[Path]) -> Path:
    """Return the one of a model's files that has its graph; the first where there is none such."""
    return next(filter(is_exported, files), files[0])


def read(
    file: Path, folder: Path, *, variant: str | None, labels: Sequence[str], options: Mapping[str, Any]
) -> Reading:
    """Fill the folder with the converted model, tried on a picture; see `onnx.convert`.

    Raises CheckpointError also where that takes more memory or time than any detector should.
    """
    asked = {"file": str(file.absolute()), "folder": str(folder), "variant": variant}
    question = json.dumps({**asked, "labels": list(labels), "options": dict(options)})
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=_SECONDS_IN_ALL,
        )
    except subprocess.TimeoutExpired:
        raise CheckpointError(
            f"The model was not read and tried within {_SECONDS_IN_ALL} seconds.", hint=_SIMPLER
        ) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise _ended(done.returncode) from None
    if "code" in answer:
        kind = kind_of(answer["code"])
        raise kind(answer["message"], hint=answer["hint"])
    return Reading(**{**answer, "labels": tuple(answer["labels"]), "notes": tuple(answer["notes"])})


def _ended(status: int) -> CheckpointError:
    if -status == signal.SIGXCPU:
        return CheckpointError(f"The model computes for more than {_SECONDS} seconds.", hint=_SIMPLER)
    if -status == signal.SIGKILL:
        return CheckpointError("The model needs more memory than there is.", hint=_SIMPLER)
    return CheckpointError(
        "The engine broke down over the model; nothing else was harmed.",
        hint="Export it again, with another opset or from a newer version of its program.",
    )


def main() -> None:
    """Answer what standard input asks."""
    asked = json.load(sys.stdin)
    file = Path(asked.pop("file"))
    size = file.stat().st_size
    # At the second limit the process would be killed without a word of why.
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS + 5))
    with suppress(ValueError, OSError):  # macOS has no such bound
        resource.setrlimit(resource.RLIMIT_AS, (_BYTES + _TIMES_THE_FILE * size,) * 2)
    with suppress(OSError):
        # If the machine runs out of memory, this is the process to end.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    # The engine's own words must not come between.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        from flask_detector.detectors.onnx.convert import convert

        answer = asdict(convert(file, Path(asked.pop("folder")), **asked))
    except DetectorError as error:
        answer = _form(error)
    except MemoryError:
        too_much = "The model needs more memory than any detector should."
        answer = _form(CheckpointError(too_much, hint=_SIMPLER))
    json.dump(answer, answers)
    answers.flush()


def _form(error: DetectorError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "hint": error.hint}


if __name__ == "__main__":
    main()
