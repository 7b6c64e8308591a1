"""RTMDet-Ins beside Mask R-CNN R-50 FPN, same picture and threads, in one run.

    python benchmarks/rtmdet.py ../shared [--rounds 5] [--threads 2]

The first argument is the folder with pictures and the synthetic weights. Each detector lives in a process of
its own and they take turns. Printed are the medians in milliseconds, how many times as fast as Mask R-CNN in
float32 that is, the stages, and the peak resident memory of each process (10^6 bytes): after the picture of
about a megapixel, and after one of 24 megapixels, whose own 72 MB are among them.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mask_rcnn import PICTURE, answer_of, ask, peak_memory, synthetic_weights, tell, write_safetensors

# A model's name, and the numbers that it computes in.
CONTESTANTS = {
    "Mask R-CNN, float32": ("mask-rcnn", "float32"),
    "Mask R-CNN, bfloat16": ("mask-rcnn", "bfloat16"),
    "RTMDet-Ins s, float32": ("s", "float32"),
    "RTMDet-Ins s, bfloat16": ("s", "bfloat16"),
    "RTMDet-Ins tiny, float32": ("tiny", "float32"),
}
LARGE = (6000, 4000)


def main() -> None:
    """Run the contest, or one contestant of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--as", dest="contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant is not None:
        take_part(options)
    else:
        with tempfile.TemporaryDirectory() as folder:
            contest(options, Path(folder))


def contest(options: argparse.Namespace, folder: Path) -> None:
    """Let the contestants take turns and print what they needed."""
    from flask_detector.detectors.convert import convert
    from flask_detector.detectors.mask_rcnn.variants import Variant
    from flask_detector.detectors.openvino_runtime import cpu_has_bfloat16

    weights = {"mask-rcnn": synthetic_weights(options.shared), **rtmdet_weights(options.shared)}
    for model, arrays in weights.items():
        checkpoint = folder / f"{model}.safetensors"
        write_safetensors(checkpoint, arrays)
        variant = Variant.TORCHVISION_V1_EPS if model == "mask-rcnn" else None
        convert(checkpoint, folder / model, variant=variant)
    names = [
        name for name, (_, precision) in CONTESTANTS.items() if precision != "bfloat16" or cpu_has_bfloat16()
    ]
    processes = {}
    for name in names:
        command = [sys.executable, __file__, str(options.shared), "--as", name]
        command += ["--weights", str(folder / CONTESTANTS[name][0]), "--threads", str(options.threads)]
        processes[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(f"{name}: ready after {answer_of(processes[name])['seconds']:.2f} s")
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(options.rounds + 1):
        for name, process in processes.items():
            answer = ask(process)
            if number:  # the first round warms up
                rounds[name].append(answer)
    medians = {name: statistics.median(a["seconds"] for a in answers) for name, answers in rounds.items()}
    print(f"\n{'':26}{'median ms':>10}{'times as fast':>15}{'peak MB':>9}{'found':>7}")
    for name, answers in rounds.items():
        ratio, last = medians["Mask R-CNN, float32"] / medians[name], answers[-1]
        print(f"{name:26}{1000 * medians[name]:10.0f}{ratio:15.2f}{last['peak']:9.0f}{last['found']:7}")
    for name, answers in rounds.items():
        stages = {
            s: statistics.median(answer["stages"][s] for answer in answers) for s in answers[0]["stages"]
        }
        print(
            f"{name}: " + ", ".join(f"{stage} {1000 * seconds:.0f} ms" for stage, seconds in stages.items())
        )
    for name, process in processes.items():
        large, _ = process.communicate("large\n")
        answer = json.loads(large)
        print(
            f"{name}, 24 megapixels: {1000 * answer['seconds']:.0f} ms, {answer['found']} found, "
            f"masks {1000 * answer['stages'].get('masks', 0):.0f} ms, peak {answer['peak']:.0f} MB"
        )


def take_part(options: argparse.Namespace) -> None:
    """Load a detector, then detect once for each line that comes in."""
    from PIL import Image

    from flask_detector.detectors.mask_rcnn.model import MaskRCNN
    from flask_detector.detectors.openvino_runtime import Precision
    from flask_detector.detectors.rtmdet.model import RTMDet
    from flask_detector.imaging.pixels import Pixels

    model, precision = CONTESTANTS[options.contestant]
    start = time.perf_counter()
    kind = MaskRCNN if model == "mask-rcnn" else RTMDet
    detector = kind(options.weights, name=model, threads=options.threads, precision=Precision(precision))
    tell(seconds=time.perf_counter() - start)
    with Image.open(options.shared / PICTURE) as file:
        picture = file.convert("RGB")
    for line in sys.stdin:
        shown = picture.resize(LARGE) if line.strip() == "large" else picture.copy()
        start = time.perf_counter()
        found = detector.detect(Pixels(shown), min_score=0.05)
        seconds = time.perf_counter() - start
        tell(seconds=seconds, found=len(found), stages=dict(found.timings), peak=peak_memory())


def rtmdet_weights(shared: Path) -> dict[str, dict[str, Any]]:
    """Return full-size weights of tiny and s that are made from their names and shapes."""
    import numpy as np

    folder = shared / "reference" / "rtmdet"
    specification = importlib.util.spec_from_file_location(
        "rtmdet_checkpoint", folder / "synthetic_checkpoint.py"
    )
    if specification is None or specification.loader is None:
        raise SystemExit(f"there is no {folder}")
    module: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    weights = {}
    for size in ("tiny", "s"):
        form = json.loads((folder / f"rtmdet_ins_{size}.params.json").read_text())
        shapes = [(name, tuple(shape)) for name, shape, _ in form["params"]]
        weights[size] = module.synthesize(shapes, dict(np.load(folder / f"rtmdet_ins_{size}.statistics.npz")))
    return weights


if __name__ == "__main__":
    main()
