"""Exported models here beside ONNX Runtime with the same file: same threads, one picture, in one run.

Each has a process of its own for each, and they take turns. ONNX Runtime may be in another environment. It
computes the network alone; here the picture is prepared and the answers become detections as well.

    python -m benchmarks.exported a.onnx b.onnx --onnxruntime-python PATH [--rounds 15] [--threads 2]

Printed are the median processor time of one picture of 640x640, how many times ONNX Runtime's that is (the
median over the rounds), and the peak resident memory of each process (10^6 bytes).
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import results

SIDE = 640


def main() -> None:
    """Run the contest, or one contestant of it."""
    parser = results.arguments(__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--onnxruntime-python", default=sys.executable, help="a Python that has onnxruntime")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--as", dest="contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant is not None:
        take_part(CONTESTANTS[options.contestant](options.files[0], options.threads))
        return
    figures = {file.stem: contest(file, options) for file in options.files}
    if options.record:
        results.record("exported", "python -m benchmarks.exported FILES --onnxruntime-python PYTHON", figures)


def contest(file: Path, options: argparse.Namespace) -> dict[str, float]:
    """Let both take turns with a file; print and return what they needed."""
    pythons = {"here": sys.executable, "runtime": options.onnxruntime_python}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
    threads = ["--threads", str(options.threads)]
    processes = {
        name: subprocess.Popen(
            [python, "-m", "benchmarks.exported", str(file), *threads, "--as", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, python in pythons.items()
    }
    for _ in range(options.rounds):
        for name, process in processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            rounds[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    ours, theirs = ([one["seconds"] for one in rounds[name]] for name in pythons)
    found = {
        "seconds": statistics.median(ours),
        "seconds of ONNX Runtime": statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
        "MB": rounds["here"][-1]["megabytes"],
        "MB of ONNX Runtime": rounds["runtime"][-1]["megabytes"],
    }
    print(f"{file.stem}: " + ", ".join(f"{what} {number:.3g}" for what, number in found.items()), flush=True)
    return found


def take_part(detect: Callable[[], Any]) -> None:
    """Detect for each line on standard input; answer what it took."""
    detect()
    for _ in sys.stdin:
        start = time.process_time()
        detect()
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(json.dumps({"seconds": seconds, "megabytes": peak}), flush=True)


def here(file: Path, threads: int) -> Callable[[], Any]:
    """Return what detects as a worker does, in float32."""
    import numpy as np

    from flask_detector.detectors.convert import convert
    from flask_detector.detectors.onnx.model import OnnxDetector
    from flask_detector.errors import BadParameter

    with tempfile.TemporaryDirectory() as folder:
        try:
            convert(file, Path(folder) / "model", options={"size": SIDE})
        except BadParameter:  # of a network of one size
            convert(file, Path(folder) / "model")
        detector = OnnxDetector(Path(folder) / "model", name="here", threads=threads)
    picture = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return lambda: detector.detect(picture)


def runtime(file: Path, threads: int) -> Callable[[], Any]:
    """Return what runs the network in ONNX Runtime, on numbers of the shape and type that it takes."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Otherwise its threads keep the cores busy while they wait.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    kinds = {
        "tensor(float)": np.float32,
        "tensor(float16)": np.float16,
        "tensor(uint8)": np.uint8,
        "tensor(int64)": np.int64,
    }
    given: dict[str, Any] = {}
    for port in session.get_inputs():
        if port.name == "orig_target_sizes":
            given[port.name] = np.array([[SIDE, SIDE]])
            continue
        # Open are the batch, which comes first, and sides.
        shape = [
            side if isinstance(side, int) else SIDE if axis else 1 for axis, side in enumerate(port.shape)
        ]
        if port.name == "pixel_mask":
            given[port.name] = np.ones(shape, np.int64)
            continue
        pixels = np.random.default_rng(7).random(shape, np.float32)
        given[port.name] = (pixels * (255 if port.type == "tensor(uint8)" else 1)).astype(kinds[port.type])
    return lambda: session.run(None, given)


CONTESTANTS = {"here": here, "runtime": runtime}


if __name__ == "__main__":
    main()
