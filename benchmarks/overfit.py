"""How well and how fast an RTMDet-Ins learns four drawn pictures by heart, and what memory that takes.

    python benchmarks/overfit.py ../shared tiny --steps 100

It begins with synthetic weights, with the loss and the optimizer of `flask-detector teach`, without its
changes to pictures. Prints the loss and the processor seconds for a picture; at the end the peak of memory
and, of each object, the IoU of its mask.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.nn import functional

from flask_detector.detectors.convert import convert
from flask_detector.teach.bases import RTMDetBase
from flask_detector.teach.losses import Targets, iou
from flask_detector.teach.network import Network
from flask_detector.teach.pupil import Pupil, pupil_of
from flask_detector.teach.rtmdet_losses import Answers, mask_logits
from flask_detector.teach.training import MOST_NORM, optimizer_of, set_rate
from tests.support.drawn import Drawn, drawn
from tests.support.weights import rtmdet_weights, write_safetensors

_SEEDS = (1, 2, 3, 4)
_LABELS = ("disc", "diamond")


def main() -> None:
    """Learn and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("size", choices=["tiny", "s"])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the new classes' first weights")
    parser.add_argument("--side", type=int, default=320, help="of the pictures")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_safetensors(folder / "base.safetensors", rtmdet_weights(options.shared, options.size))
        convert(folder / "base.safetensors", folder / "base")
        base = RTMDetBase(f"rtmdet-ins-{options.size}", folder / "base")
        pictures = [drawn(seed, options.side) for seed in _SEEDS]
        pupil = pupil_of(base, base.first_weights(len(_LABELS), seed=options.seed), torch.device("cpu"))
        _learn(pupil, pictures, options.steps, base.rate, base.shares)
        print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB at its peak")
        for seed, picture in zip(_SEEDS, pictures, strict=True):
            shares = ", ".join(f"{share:.3f}" for share in _overlaps(pupil.network, picture))
            print(f"picture {seed}: mask IoUs {shares}")


def _overlaps(network: Network, picture: Drawn) -> list[float]:
    """Return the IoU of each object's mask with that of the cell which says most of it."""
    with torch.no_grad():
        answers = Answers.of(network(torch.from_numpy(picture.pixels)[None]))
    found = []
    for box, class_id, mask in zip(*(torch.from_numpy(one) for one in picture[1:]), strict=True):
        said = answers.classes[0, :, class_id].sigmoid() * iou(answers.boxes[0], box[None])
        cell = said.argmax()[None]
        logits = mask_logits(
            answers.features[0], answers.kernels[0, cell], answers.points[cell], answers.strides[cell]
        )
        enlarged = functional.interpolate(logits[None], mask.shape, mode="bilinear", align_corners=False)
        inside = enlarged[0, 0] > 0
        found.append(((inside & mask).sum() / (inside | mask).sum()).item())
    return found


def _learn(pupil: Pupil, pictures: list[Drawn], steps: int, rate: float, shares: Mapping[str, float]) -> None:
    none, no_ids = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    batch = [
        (
            torch.from_numpy(one.pixels).permute(2, 0, 1)[None].float(),
            Targets(
                torch.from_numpy(one.boxes),
                torch.from_numpy(one.class_ids),
                none,
                no_ids,
                torch.from_numpy(one.masks),
                torch.ones(len(one.boxes), dtype=torch.bool),
            ),
        )
        for one in pictures
    ]
    optimizer = optimizer_of(pupil.network.parameters, shares)
    began = time.process_time()
    for step in range(steps):
        set_rate(optimizer, rate, step / steps)
        optimizer.zero_grad()
        total = 0.0
        for picture, target in batch:
            loss = pupil.loss(picture, [target]) / len(batch)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(pupil.network.parameters.values(), MOST_NORM)
        optimizer.step()
        if step % 10 == 9 or step == steps - 1:
            seconds = (time.process_time() - began) / (step + 1) / len(batch)
            print(
                f"step {step + 1}: loss {total:.3f}, {seconds:.2f} s of processor time a picture", flush=True
            )


if __name__ == "__main__":
    main()
