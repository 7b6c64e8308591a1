"""The training itself: from the base model's weights to taught ones, in a given time, with checkpoints."""

import io
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from flask_detector.atomic_files import write_whole
from flask_detector.detectors.base import usable_cores
from flask_detector.detectors.zoo.ranking import machine_of
from flask_detector.errors import TeachingError
from flask_detector.settings import Settings
from flask_detector.structures.boxes import Floats
from flask_detector.structures.labels import plural
from flask_detector.teach.augment import Augmentation
from flask_detector.teach.bases import Base
from flask_detector.teach.examples import Example
from flask_detector.teach.lesson import MOST_STEPS, steps_for
from flask_detector.teach.pupil import pupil_of

_WEIGHT_DECAY: Final = 0.05
_WARM_UP: Final = 0.15
_FIRST_SHARE: Final = 0.04
MOST_NORM: Final = 35.0  # as the base model was trained
_AVERAGED: Final = 0.98

_CHECKPOINT_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Step:
    """How far a training is.

    part: of its time and steps that is over, in 0..1. seconds: that it has taken, also before a stop.
    """

    number: int
    part: float
    loss: float
    seconds: float


class Training:
    """Teaches a base some classes.

    classes: how many.
    seconds: how long it may take. It is over before that when the network has seen the pictures often enough.
    file: of the checkpoint, which a training of the same pictures goes on from.

    Raises TeachingError where the checkpoint is another training's.
    """

    def __init__(
        self,
        base: Base,
        examples: Sequence[Example],
        classes: int,
        *,
        seed: int,
        seconds: float,
        file: Path,
    ) -> None:
        self._base, self._examples = base, examples
        self._seed, self._budget, self._file = seed, seconds, file
        self._steps = steps_for(len(examples), base.batch)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._pupil = pupil_of(base, base.first_weights(classes, seed), self._device)
        self._parameters = self._pupil.network.parameters
        self._average = {name: tensor.detach().clone() for name, tensor in self._parameters.items()}
        self._optimizer = optimizer_of(self._parameters, base.shares)
        self._augment = Augmentation(base)
        self._step, self._seconds, self._loss = 0, 0.0, 0.0
        self._go_on()

    @property
    def so_far(self) -> Step:
        """How far it is."""
        part = max(self._step / self._steps, self._seconds / self._budget)
        return Step(self._step, min(1.0, part), self._loss, self._seconds)

    @property
    def weights(self) -> dict[str, Floats]:
        """The weights so far by layer with ".weight" and ".bias", averaged over the last steps."""
        return self._pupil.network.weights_of(self._average)

    def run(self, on_step: Callable[[Step], None]) -> dict[str, Floats]:
        """Return the taught weights, as of `weights`.

        on_step: called after each step. A KeyboardInterrupt, of it or at any time, leaves a checkpoint.

        Raises TeachingError where the loss is no finite number, OSError where no checkpoint can be written.
        """
        saved, began = self._seconds, time.monotonic() - self._seconds
        try:
            while self.so_far.part < 1:
                self._loss = self._learn()
                self._step += 1
                # What `on_step` takes, such as testing, counts as well.
                self._seconds = time.monotonic() - began
                on_step(self.so_far)
                if self._seconds - saved > _CHECKPOINT_SECONDS:
                    self._save()
                    saved = self._seconds
        except KeyboardInterrupt:
            self._save()
            raise
        return self.weights

    def _learn(self) -> float:
        """Take one step; return its loss."""
        # What is drawn depends on the step alone: a training that was stopped goes on as if it had not been.
        torch.manual_seed(self._seed * MOST_STEPS + self._step)
        pictures, targets = self._augment([self._examples[n] for n in self._chosen()])
        set_rate(self._optimizer, self._base.rate, self.so_far.part)
        self._optimizer.zero_grad()
        total = 0.0
        for start in range(0, len(targets), self._base.at_once):
            few = slice(start, start + self._base.at_once)
            wanted = [one.to(self._device) for one in targets[few]]
            loss = self._pupil.loss(pictures[few].to(self._device), wanted) * (len(wanted) / len(targets))
            if not math.isfinite(loss.item()):
                raise TeachingError(
                    f"The loss is no finite number at step {self._step}.",
                    hint="Look for boxes or pictures that are damaged; nothing was changed.",
                )
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(self._parameters.values(), MOST_NORM)
        self._optimizer.step()
        share = min(_AVERAGED, (1 + self._step) / (10 + self._step))
        with torch.no_grad():
            for name, tensor in self._parameters.items():
                self._average[name].lerp_(tensor, 1 - share)
        return total

    def _chosen(self) -> list[int]:
        """Return the pictures of this step: all come once before one comes again."""
        count = len(self._examples)
        numbers = range(self._step * self._base.batch, (self._step + 1) * self._base.batch)
        orders = {
            n // count: np.random.default_rng([self._seed, n // count]).permutation(count) for n in numbers
        }
        return [int(orders[n // count][n % count]) for n in numbers]

    def _save(self) -> None:
        # PyTorch doesn't say of a disk that it is full.
        stored = io.BytesIO()
        torch.save(
            {
                "pictures": len(self._examples),
                "step": self._step,
                "seconds": self._seconds,
                "parameters": {name: tensor.detach() for name, tensor in self._parameters.items()},
                "average": self._average,
                "optimizer": self._optimizer.state_dict(),
            },
            stored,
        )
        write_whole(self._file, stored.getvalue())

    def _go_on(self) -> None:
        if not self._file.exists():
            return
        try:
            state: dict[str, Any] = torch.load(self._file, map_location=self._device, weights_only=True)
            if state["pictures"] != len(self._examples):
                raise ValueError("of other pictures")
            for name, tensor in self._parameters.items():
                tensor.data.copy_(state["parameters"][name])
            self._optimizer.load_state_dict(state["optimizer"])
            self._average, self._step, self._seconds = state["average"], state["step"], state["seconds"]
        except Exception as error:
            raise TeachingError(
                f"The checkpoint {self._file} can't be gone on from.", hint="Begin again with --restart."
            ) from error


def hardware(settings: Settings) -> str:
    """Return on what a network is trained here."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    cores = usable_cores()
    return (
        f"{cores} {plural('core', cores)} of {machine_of(settings).partition(',')[0] or platform.machine()}"
    )


def optimizer_of(parameters: Mapping[str, Tensor], shares: Mapping[str, float]) -> torch.optim.Optimizer:
    """Return the optimizer of a network's parameters; shares: see `Base`."""
    parts: dict[float, list[Tensor]] = {}
    for name, tensor in parameters.items():
        share = next((share for prefix, share in shares.items() if name.startswith(prefix)), 1.0)
        parts.setdefault(share, []).append(tensor)
    return torch.optim.AdamW(
        [{"params": part, "lr": 0.0, "share": share} for share, part in parts.items()],
        weight_decay=_WEIGHT_DECAY,
    )


def set_rate(optimizer: torch.optim.Optimizer, highest: float, part: float) -> None:
    """Set the learning rate to what it is after a part of the training, in 0..1."""
    for group in optimizer.param_groups:
        group["lr"] = highest * group["share"] * _share_of_rate(part)


def _share_of_rate(part: float) -> float:
    """Return the share of the highest learning rate: one cycle, up and then down in half cosines."""
    if part < _WARM_UP:
        return _FIRST_SHARE + (1 - _FIRST_SHARE) * (1 - math.cos(math.pi * part / _WARM_UP)) / 2
    return (1 + math.cos(math.pi * min(1.0, (part - _WARM_UP) / (1 - _WARM_UP)))) / 2
