"""Our Mask R-CNN beside torchvision's own, eager, with the same weights, picture and threads, in one run.

Each detector lives in a process of its own and they take turns, so that whatever else the machine does meets
all of them alike. torch and torchvision are needed for this file only; they may be in another environment:

    python benchmarks/mask_rcnn.py ../shared [--torch-python PATH] [--rounds 5] [--threads 2]

The first argument is the folder with pictures and the synthetic weights. Printed are the medians in
milliseconds, how many times as fast as torchvision that is, our stages, and the peak resident memory of each
process (10^6 bytes) from its start to its last detection.
"""

import argparse
import importlib.util
import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONTESTANTS = ("torchvision", "float32", "bfloat16")
PICTURE = "pictures/apartment.jpg"

Detect = Callable[[], tuple[int, dict[str, float]]]


def main() -> None:
    """Run the contest, or one contestant of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--torch-python", default=sys.executable, help="a Python that has torchvision")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--as", dest="contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant is not None:
        take_part(options.contestant, options.shared, options.weights, options.threads)
    else:
        with tempfile.TemporaryDirectory() as folder:
            contest(options, Path(folder))


def contest(options: argparse.Namespace, folder: Path) -> None:
    """Let the contestants take turns and print what they needed."""
    from flask_detector.detectors.convert import convert
    from flask_detector.detectors.mask_rcnn.variants import Variant
    from flask_detector.detectors.openvino_runtime import cpu_has_bfloat16

    checkpoint = folder / "weights.safetensors"
    write_safetensors(checkpoint, synthetic_weights(options.shared))
    start = time.perf_counter()
    convert(checkpoint, folder / "converted", variant=Variant.TORCHVISION_V1_EPS)
    print(f"conversion, once: {time.perf_counter() - start:.1f} s")
    names = [name for name in CONTESTANTS if name != "bfloat16" or cpu_has_bfloat16()]
    processes = {}
    for name in names:
        python = options.torch_python if name == "torchvision" else sys.executable
        command = [python, __file__, str(options.shared), "--as", name]
        command += ["--weights", str(folder / "converted"), "--threads", str(options.threads)]
        processes[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(f"{name}: ready after {answer_of(processes[name])['seconds']:.2f} s")
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(options.rounds + 1):
        for name, process in processes.items():
            answer = ask(process)
            if number:  # the first round warms up
                rounds[name].append(answer)
    medians = {name: statistics.median(a["seconds"] for a in answers) for name, answers in rounds.items()}
    print(f"\n{'':12}{'median ms':>10}{'times as fast':>15}{'peak MB':>9}{'found':>7}")
    for name, answers in rounds.items():
        ratio, peak = medians["torchvision"] / medians[name], answers[-1]["peak"]
        print(f"{name:12}{1000 * medians[name]:10.0f}{ratio:15.2f}{peak:9.0f}{answers[-1]['found']:7}")
    for name in names[1:]:
        stages = {
            stage: statistics.median(answer["stages"][stage] for answer in rounds[name])
            for stage in rounds[name][0]["stages"]
        }
        print(
            f"{name}: " + ", ".join(f"{stage} {1000 * seconds:.0f} ms" for stage, seconds in stages.items())
        )
    for process in processes.values():
        process.communicate()


def take_part(name: str, shared: Path, weights: Path, threads: int) -> None:
    """Load a detector, then detect once for each line that comes in."""
    start = time.perf_counter()
    detect = torchvision(shared, threads) if name == "torchvision" else ours(shared, weights, name, threads)
    tell(seconds=time.perf_counter() - start)
    for _ in sys.stdin:
        start = time.perf_counter()
        found, stages = detect()
        tell(seconds=time.perf_counter() - start, found=found, stages=stages, peak=peak_memory())


def ours(shared: Path, weights: Path, precision: str, threads: int) -> Detect:
    """Load our detector from its converted weights."""
    from flask_detector.detectors.mask_rcnn.model import MaskRCNN
    from flask_detector.detectors.openvino_runtime import Precision
    from flask_detector.imaging import decode
    from flask_detector.imaging.limits import Limits

    picture, _ = decode.decode((shared / PICTURE).read_bytes(), Limits(10**8, 10**8))
    detector = MaskRCNN(weights, name=precision, threads=threads, precision=Precision(precision))

    def detect() -> tuple[int, dict[str, float]]:
        found = detector.detect(picture, min_score=0.05)
        return len(found), dict(found.timings)

    return detect


def torchvision(shared: Path, threads: int) -> Detect:
    """Load torchvision's detector with the same weights."""
    import numpy as np
    import torch
    from PIL import Image
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    torch.set_num_threads(threads)
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)
    model.load_state_dict({name: torch.from_numpy(a) for name, a in synthetic_weights(shared).items()})
    model.eval()
    pixels = np.array(Image.open(shared / PICTURE).convert("RGB"))
    picture = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255

    def detect() -> tuple[int, dict[str, float]]:
        with torch.inference_mode():
            (answer,) = model([picture])
        return len(answer["scores"]), {}

    return detect


def synthetic_weights(shared: Path) -> dict[str, Any]:
    """Return full-size weights that are made from their names and shapes."""
    path = shared / "reference" / "mmdet" / "synthetic_checkpoint.py"
    specification = importlib.util.spec_from_file_location("synthetic_checkpoint", path)
    if specification is None or specification.loader is None:
        raise SystemExit(f"there is no {path}")
    module: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    form = json.loads((shared / "reference/torchvision/maskrcnn_resnet50_fpn.params.json").read_text())
    shapes = [(name, tuple(shape)) for name, shape, _ in form["params"]]
    weights: dict[str, Any] = module.synthesize(shapes, pixel_scale=form["pixel_scale"])
    return weights


def write_safetensors(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays of float32 and int64 as a safetensors file."""
    header, offset = {}, 0
    for name, array in arrays.items():
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())


def peak_memory() -> float:
    """Return this process's highest resident memory so far, in megabytes (10^6 bytes)."""
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def tell(**facts: object) -> None:
    """Send facts to the contest."""
    print(json.dumps(facts), flush=True)


def ask(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Let a contestant detect once."""
    if process.stdin is None:
        raise RuntimeError("a contestant needs a way to be asked")
    process.stdin.write("\n")
    process.stdin.flush()
    return answer_of(process)


def answer_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait for what a contestant tells."""
    if process.stdout is None or not (line := process.stdout.readline()):
        raise SystemExit("a contestant ended; is torchvision installed in its Python? See --torch-python")
    answer: dict[str, Any] = json.loads(line)
    return answer


if __name__ == "__main__":
    main()
