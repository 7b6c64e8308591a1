"""A base as what is trained: its network, and the loss of pictures."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from flask_detector.detectors.rtmdet.architecture import STRIDES, owner_of
from flask_detector.structures.boxes import Floats
from flask_detector.teach.bases import Base, NanoDetBase
from flask_detector.teach.losses import Cells, Targets, loss_of
from flask_detector.teach.network import Network
from flask_detector.teach.rtmdet_losses import Answers, losses_of


class Pupil(ABC):
    """What is trained.

    network: whose parameters are.
    """

    network: Network

    @abstractmethod
    def loss(self, pictures: Tensor, targets: Sequence[Targets]) -> Tensor:
        """Return the loss of pictures (N, 3, H, W) in 0..255, RGB."""


class _NanoDet(Pupil):
    def __init__(self, base: Base, weights: Mapping[str, Floats], device: torch.device) -> None:
        self.network = Network(base.graph(weights), weights, base.class_layers, device=device)
        self._classes = len(weights[f"{base.class_layers[0]}.bias"]) - base.others
        self._cells = Cells(base.side, base.side, device)

    def loss(self, pictures: Tensor, targets: Sequence[Targets]) -> Tensor:
        maps = self.network(pictures.permute(0, 2, 3, 1))
        rows = torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)
        classes, sides = rows.split([self._classes, rows.shape[2] - self._classes], 2)
        return loss_of(classes, sides, targets, self._cells)


class _RTMDet(Pupil):
    def __init__(self, base: Base, weights: Mapping[str, Floats], device: torch.device) -> None:
        self.network = Network(base.graph(weights), weights, RTMDET_HEADS, owner_of=owner_of, device=device)

    def loss(self, pictures: Tensor, targets: Sequence[Targets]) -> Tensor:
        return losses_of(Answers.of(self.network(pictures.permute(0, 2, 3, 1))), targets).total


RTMDET_HEADS: Final = (
    *(f"bbox_head.rtm_{kind}.{level}" for kind in ("cls", "reg", "kernel") for level in range(len(STRIDES))),
    "bbox_head.mask_head.projection",
)


def pupil_of(base: Base, weights: Mapping[str, Floats], device: torch.device) -> Pupil:
    """Return what is trained, beginning with those weights."""
    return (_NanoDet if isinstance(base, NanoDetBase) else _RTMDet)(base, weights, device)
