"""Mask R-CNN and RTMDet-Ins beside torchvision's Mask R-CNN: same picture and threads, in one run.

Each detector lives in a process of its own and they take turns, so that whatever else the machine does meets
all of them alike. Between two turns is a pause: a process may keep a core busy for a while after its answer.
torch and torchvision are needed for this file only and may be in another environment; without them the others
are compared with our Mask R-CNN in float32. From an environment with MMDetection, see `mmdet_network.py`,
comes its RTMDet-Ins as OpenVINO converts it: the network alone.

    python -m benchmarks.models ../shared [--torch-python PATH] [--mmdet-python PATH] [--rounds 5]

The first argument is the folder with pictures and the synthetic weights. Printed are the medians, how many
times as fast as the first one that is, the least processor time and how many times as little that is, the
stages, and the peak resident memory of each process (10^6 bytes): after the picture of about a megapixel, and
after a JPEG of 24 megapixels, which ours read as a worker does. torchvision is not shown that one: it pastes
each mask into an array of floats of the picture's size, and all of these into another one, 19 GB in all.
RTMDet-Ins's stages are also printed for the 20 best objects, and for that JPEG.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import results
from tests.support.weights import mask_rcnn_weights, rtmdet_weights, write_safetensors

# A model's name, and the numbers that it computes in.
CONTESTANTS = {
    "torchvision, float32": ("torchvision", "float32"),
    "Mask R-CNN, float32": ("mask-rcnn", "float32"),
    "Mask R-CNN, bfloat16": ("mask-rcnn", "bfloat16"),
    "RTMDet-Ins s, float32": ("s", "float32"),
    "RTMDet-Ins s, bfloat16": ("s", "bfloat16"),
    "RTMDet-Ins tiny, float32": ("tiny", "float32"),
    "RTMDet-Ins s, MMDetection's network, float32": ("mmdet", "float32"),
    "RTMDet-Ins s, MMDetection's network, bfloat16": ("mmdet", "bfloat16"),
}
LARGE = (6000, 4000)
PAUSE_SECONDS = 0.5
PICTURE = "pictures/apartment.jpg"
PARAMETERS = "torchvision/maskrcnn_resnet50_fpn"

FEW = 20

# From a picture's file and how many objects to find at most, to how many there are and the stages' seconds.
Detect = Callable[[Path, int], tuple[int, dict[str, float]]]


def main() -> None:
    """Run the contest, or one contestant of it."""
    parser = results.arguments(__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--torch-python", help="a Python that has torchvision")
    parser.add_argument("--mmdet-python", help="a Python that has MMDetection and openvino")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--as", dest="contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant is not None:
        take_part(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = contest(options, Path(folder))
    if options.record:
        results.record("models", "python -m benchmarks.models ../shared --torch-python PYTHON", figures)


def contest(options: argparse.Namespace, folder: Path) -> results.Figures:
    """Let the contestants take turns; print and return what they needed."""
    processes = {name: start(name, options, folder) for name in entered(options, folder)}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in processes}
    for number in range(options.rounds + 1):
        for name, process in processes.items():
            time.sleep(PAUSE_SECONDS)
            answer = ask(process, "")
            if number:  # the first round warms up
                rounds[name].append(answer)
    figures: results.Figures = {}
    heads = f"{'median ms':>10}{'times as fast':>15}{'CPU ms':>8}{'times':>7}{'peak MB':>9}{'24 MP':>9}"
    print(f"\n{'':46}{heads}{'found':>7}")
    for name, answers in rounds.items():
        seconds, last = statistics.median(one["seconds"] for one in answers), answers[-1]
        is_ours = CONTESTANTS[name][0] not in {"torchvision", "mmdet"}
        few = ask(processes[name], "few") if "select" in last["stages"] else None
        large = ask(processes[name], "large") if is_ours else None
        processes[name].communicate()
        stages = {s: statistics.median(one["stages"][s] for one in answers) for s in last["stages"]}
        figures[name] = {"seconds": seconds, "peak_mb": last["peak"]}
        if large is not None:
            figures[name]["large_mb"] = large["peak"]
        figures[name]["cpu_seconds"] = cpu = min(one["cpu"] for one in answers)
        if "network" in stages:
            figures[name]["other_seconds"] = sum(stages.values()) - stages["network"]
        first = next(iter(figures.values()))
        row = f"{name:46}{1000 * seconds:10.0f}{first['seconds'] / seconds:15.2f}"
        row += f"{1000 * cpu:8.0f}{first['cpu_seconds'] / cpu:7.2f}{last['peak']:9.0f}"
        row += f"{large['peak']:9.0f}" if large is not None else f"{'':9}"
        print(f"{row}{last['found']:7}")
        print(f"  {told(stages)}")
        if few is not None and large is not None:
            print(f"  the best {few['found']}: {told(few['stages'])}; 24 megapixels: {told(large['stages'])}")
    return figures


def told(stages: dict[str, float]) -> str:
    """Return the stages in words."""
    return ", ".join(f"{stage} {1000 * spent:.0f} ms" for stage, spent in stages.items())


def entered(options: argparse.Namespace, folder: Path) -> list[str]:
    """Convert the weights; return the names of the contestants that can run here."""
    from PIL import Image

    from flask_detector.detectors.convert import convert
    from flask_detector.detectors.mask_rcnn.variants import Variant
    from flask_detector.detectors.openvino_runtime import cpu_has_bfloat16

    with Image.open(options.shared / PICTURE) as file:
        file.resize(LARGE).save(folder / "large.jpg")
    weights = {size: rtmdet_weights(options.shared, size) for size in ("s", "tiny")}
    weights["mask-rcnn"] = mask_rcnn_weights(options.shared, PARAMETERS)
    for model, arrays in weights.items():
        write_safetensors(folder / f"{model}.safetensors", arrays)
        variant = Variant.TORCHVISION_V1_EPS if model == "mask-rcnn" else None
        convert(folder / f"{model}.safetensors", folder / model, variant=variant)
    if options.mmdet_python is not None:
        program = Path(__file__).with_name("mmdet_network.py")
        subprocess.run([options.mmdet_python, program, folder / "mmdet.xml"], check=True)
    can = {
        "torchvision": options.torch_python is not None,
        "mmdet": options.mmdet_python is not None,
        "bfloat16": cpu_has_bfloat16(),
    }
    return [name for name, facts in CONTESTANTS.items() if all(can.get(fact, True) for fact in facts)]


def start(name: str, options: argparse.Namespace, folder: Path) -> "subprocess.Popen[str]":
    """Start a contestant, and return when it is ready."""
    model, _ = CONTESTANTS[name]
    python = options.torch_python if model == "torchvision" else sys.executable
    command = [python, "-m", "benchmarks.models", str(options.shared), "--as", name]
    command += ["--weights", str(folder / model), "--threads", str(options.threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"{name}: ready after {answer_of(process)['seconds']:.2f} s")
    return process


def take_part(options: argparse.Namespace) -> None:
    """Load a detector, then detect once for each line that comes in."""
    model, precision = CONTESTANTS[options.contestant]
    began = time.perf_counter()
    if model == "torchvision":
        detect = torchvision(options.shared, options.threads)
    elif model == "mmdet":
        detect = mmdet_network(options.weights.with_suffix(".xml"), precision, options.threads)
    else:
        detect = ours(options.weights, model, precision, options.threads)
    tell(seconds=time.perf_counter() - began)
    for line in sys.stdin:
        asked = line.strip()
        shown = options.weights.parent / "large.jpg" if asked == "large" else options.shared / PICTURE
        began, used = time.perf_counter(), time.process_time()
        found, stages = detect(shown, FEW if asked == "few" else 100)
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        tell(seconds=seconds, cpu=cpu, found=found, stages=stages, peak=peak_memory())


def ours(weights: Path, model: str, precision: str, threads: int) -> Detect:
    """Load our detector from its converted weights."""
    from flask_detector.detectors.mask_rcnn.model import MaskRCNN
    from flask_detector.detectors.openvino_runtime import Precision
    from flask_detector.detectors.rtmdet.model import RTMDet
    from flask_detector.imaging import decode
    from flask_detector.imaging.limits import Limits

    kind = MaskRCNN if model == "mask-rcnn" else RTMDet
    detector = kind(weights, name=model, threads=threads, precision=Precision(precision))

    scores = [0.05]

    def detect(picture: Path, most: int) -> tuple[int, dict[str, float]]:
        pixels, _ = decode.load(picture.read_bytes(), Limits(10**8, 10**8))
        found = detector.detect(pixels, min_score=scores[most - 1] if most < len(scores) else 0.05)
        scores[:] = found.scores.tolist()
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
    weights = mask_rcnn_weights(shared, PARAMETERS)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    model.eval()

    def detect(picture: Path, most: int) -> tuple[int, dict[str, float]]:
        del most
        pixels = torch.from_numpy(np.array(Image.open(picture).convert("RGB"))).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            (answer,) = model([pixels])
        return len(answer["scores"]), {}

    return detect


def mmdet_network(graph: Path, precision: str, threads: int) -> Detect:
    """Load MMDetection's network."""
    import numpy as np

    from flask_detector.detectors.openvino_runtime import Precision, Session, read_graph

    session = Session(read_graph(graph), threads=threads, precision=Precision(precision))
    pixels = np.random.default_rng(0).standard_normal((1, 3, 640, 640)).astype(np.float32)

    def detect(picture: Path, most: int) -> tuple[int, dict[str, float]]:
        del picture, most  # what it shows does not change the time
        began = time.perf_counter()
        session.run([pixels])
        return 0, {"network": time.perf_counter() - began}

    return detect


def peak_memory() -> float:
    """Return this process's highest resident memory so far, in megabytes (10^6 bytes)."""
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def tell(**facts: object) -> None:
    """Send facts to the contest."""
    print(json.dumps(facts), flush=True)


def ask(process: "subprocess.Popen[str]", line: str) -> dict[str, Any]:
    """Let a contestant detect once."""
    if process.stdin is None:
        raise RuntimeError("a contestant needs a way to be asked")
    process.stdin.write(f"{line}\n")
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
