"""The models that can be taught: their weights, the detectors made of them, and how they are trained."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from flask_detector.detectors import ModelStore
from flask_detector.detectors.base import usable_cores
from flask_detector.detectors.nanodet import convert as nanodet
from flask_detector.detectors.nanodet import detector as nanodet_detector
from flask_detector.detectors.nanodet.detector import NanoDet
from flask_detector.detectors.nanodet.layers import LEVELS, SIDE_CHANNELS, embedded_weights, graph_of
from flask_detector.detectors.openvino_runtime import Graph, Precision
from flask_detector.detectors.pair import Teachable
from flask_detector.detectors.reading import Reading
from flask_detector.detectors.rtmdet import convert as rtmdet
from flask_detector.detectors.rtmdet.architecture import (
    DISTANCES,
    SIDE,
    STRIDES,
    Architecture,
    architecture_of,
)
from flask_detector.detectors.rtmdet.build_graph import network
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.detectors.weights_file import WeightsFile, write_weights
from flask_detector.errors import BadParameter
from flask_detector.structures.boxes import Floats
from flask_detector.teach.lesson import DEFAULT_BASE, can_be_taught

# The score of a class that nothing is known of, as focal loss begins.
_PRIOR: Final = 0.01
_FIRST_DEVIATION: Final = 0.01


class Base(ABC):
    """A model that can be taught.

    picture_side: of the square that a prepared picture lies in.
    side: of the square pictures that it is trained with. batch: how many a step learns from.
    at_once: how many of these are in memory with all that their gradients need.
    rate: of learning, at its highest. shares: of it, for layers whose names begin so.
    class_layers: whose first outputs are the classes. others: how many outputs follow them.
    """

    picture_side: ClassVar[int]
    side: int
    batch: int
    at_once: int
    rate: float
    shares: ClassVar[Mapping[str, float]] = {"backbone.": 0.1}
    class_layers: ClassVar[tuple[str, ...]]
    others: ClassVar[int]
    has_masks: ClassVar[bool]
    min_score: ClassVar[float]

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def weights(self) -> dict[str, Floats]:
        """Return its own weights by layer with ".weight" and ".bias"."""

    @abstractmethod
    def graph(self, weights: Mapping[str, Floats]) -> Graph:
        """Return the served graph of weights, whose constants have their names."""

    @abstractmethod
    def detector(self) -> Teachable:
        """Return the base itself as a detector."""

    @abstractmethod
    def taught(self, weights: Mapping[str, Floats], labels: tuple[str, ...], folder: Path) -> Teachable:
        """Return a detector of other weights. folder: may be written to."""

    @abstractmethod
    def write_checkpoint(
        self, path: Path, weights: Mapping[str, Floats], labels: Sequence[str], about: Mapping[str, Any]
    ) -> None:
        """Write weights as a file that `models add` reads, and its authors' own program. Raises OSError."""

    def first_weights(self, classes: int, seed: int) -> dict[str, Floats]:
        """Return its weights with so many other classes, of which nothing is known yet."""
        weights, random = self.weights(), np.random.default_rng(seed)
        prior = np.full(classes, math.log(_PRIOR / (1 - _PRIOR)), np.float32)
        for layer in self.class_layers:
            weight, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
            new = random.normal(0, _FIRST_DEVIATION, (classes, *weight.shape[1:])).astype(np.float32)
            weights[f"{layer}.weight"] = np.concatenate([new, weight[len(weight) - self.others :]])
            weights[f"{layer}.bias"] = np.concatenate([prior, bias[len(bias) - self.others :]])
        return weights

    def shift(self, weights: dict[str, Floats], added: Floats) -> None:
        """Add to the logits of each class, (classes,)."""
        for layer in self.class_layers:
            weights[f"{layer}.bias"][: len(added)] += added


class NanoDetBase(Base):
    """The embedded NanoDet-g."""

    picture_side = nanodet_detector.LONG_SIDE
    side, batch, at_once = 416, 8, 8  # as it was trained
    rate = 1e-3
    class_layers = tuple(f"head.gfl_cls.{level}" for level in range(LEVELS))
    others = SIDE_CHANNELS
    has_masks = False
    min_score = NanoDet.default_min_score

    def weights(self) -> dict[str, Floats]:
        """Return the embedded weights."""
        return embedded_weights()

    def graph(self, weights: Mapping[str, Floats]) -> Graph:
        """Return the embedded graph with other weights."""
        return graph_of(weights)

    def detector(self) -> Teachable:
        """Return the embedded model."""
        return NanoDet(threads=usable_cores(), precision=Precision.FLOAT32)

    def taught(self, weights: Mapping[str, Floats], labels: tuple[str, ...], folder: Path) -> Teachable:
        """Return a detector of other weights."""
        return NanoDet(
            graph_of(weights),
            name=folder.name,
            labels=labels,
            threads=usable_cores(),
            precision=Precision.FLOAT32,
        )

    def write_checkpoint(
        self, path: Path, weights: Mapping[str, Floats], labels: Sequence[str], about: Mapping[str, Any]
    ) -> None:
        """Write weights in the layout of NanoDet's authors."""
        nanodet.write_checkpoint(path, weights, labels, about)


class RTMDetBase(Base):
    """An installed RTMDet-Ins.

    folder: of its converted weights.
    """

    picture_side = SIDE
    # At 640, as it was trained, a step would take half as long again; one picture at a time for the memory.
    side, batch, at_once = 512, 4, 1
    rate = 5e-4
    # A mask is the product of three predicted layers. At the rate of the others its logits grow so fast that
    # the sigmoid has no gradient before the mask is right, and then never will have one.
    shares: ClassVar[Mapping[str, float]] = {
        "backbone.": 0.1,
        "bbox_head.kernel_convs.": 0.3,
        "bbox_head.rtm_kernel.": 0.3,
        "bbox_head.mask_head.": 0.3,
    }
    class_layers = tuple(f"bbox_head.rtm_cls.{level}" for level in range(len(STRIDES)))
    others = 0
    has_masks = True
    min_score = RTMDet.default_min_score

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self._folder = folder

    def weights(self) -> dict[str, Floats]:
        """Return the converted weights."""
        return {name: np.array(array) for name, array in WeightsFile.open(self._folder).weights.items()}

    def graph(self, weights: Mapping[str, Floats]) -> Graph:
        """Return the graph built of weights."""
        return network(weights, _architecture_of(weights))

    def detector(self) -> Teachable:
        """Return the installed model."""
        return RTMDet(self._folder, name=self.name, precision=Precision.FLOAT32)

    def taught(self, weights: Mapping[str, Floats], labels: tuple[str, ...], folder: Path) -> Teachable:
        """Return a detector of other weights, which are written as converted ones into the folder."""
        options = WeightsFile.open(self._folder).options
        reading = Reading(rtmdet.MASKS, DISTANCES, "", labels, options, ())
        write_weights(folder, weights.items(), reading, list(range(len(labels))))
        return RTMDet(folder, name=folder.name, precision=Precision.FLOAT32)

    def write_checkpoint(
        self, path: Path, weights: Mapping[str, Floats], labels: Sequence[str], about: Mapping[str, Any]
    ) -> None:
        """Write weights in MMDetection's layout."""
        rtmdet.write_checkpoint(path, weights, labels, about)


def base_of(name: str, store: ModelStore) -> Base:
    """Return the base of that name.

    Raises UnknownModel, ModelNotInstalled, and BadParameter for a model that can't be taught.
    """
    if not can_be_taught(store.info(name)):
        raise BadParameter(
            f"'{name}' can't be taught.", hint=f"Choose {DEFAULT_BASE}, or an RTMDet-Ins that is installed."
        )
    return NanoDetBase(name) if name == DEFAULT_BASE else RTMDetBase(name, store.ready(name))


def _architecture_of(weights: Mapping[str, Floats]) -> Architecture:
    architecture = architecture_of({name: array.shape for name, array in weights.items()})
    if architecture is None:
        raise ValueError("these are not the weights of RTMDet-Ins")
    return architecture
