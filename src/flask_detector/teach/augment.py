"""Batches of pictures that are changed each time they are seen, by kornia; boxes go along."""

from collections.abc import Sequence
from typing import Final

import kornia.augmentation as kornia
import numpy as np
import torch
from torch import Tensor

from flask_detector.detectors.nanodet.detector import LONG_SIDE
from flask_detector.teach.examples import Example
from flask_detector.teach.losses import Targets

# The side of the square pictures of a batch: what the base model was trained with.
SIDE: Final = 416

_GREY: Final = 114
# Of an object that is cut off by an edge, this much must be left for it to count as one.
_LEAST_VISIBLE: Final = 0.3
_LEAST_PIXELS: Final = 16
_PADDING: Final = -1


class Augmentation:
    """Mosaics of four pictures, mirrored, scaled, cropped and of other colours.

    It draws its random numbers from PyTorch's own generator.
    """

    def __init__(self) -> None:
        self._mosaic = kornia.RandomMosaic((LONG_SIDE, LONG_SIDE), p=0.5, data_keys=["input", "bbox_xyxy"])
        self._others = kornia.AugmentationSequential(
            kornia.RandomHorizontalFlip(),
            kornia.RandomResizedCrop((SIDE, SIDE), (0.4, 1.0), (0.8, 1.25), cropping_mode="resample"),
            kornia.ColorJiggle(0.2, 0.3, 0.3, 0.02, p=0.8),
            data_keys=["input", "bbox_xyxy"],
        )

    def __call__(self, examples: Sequence[Example]) -> tuple[Tensor, list[Targets]]:
        """Return a batch (N, 3, 416, 416) in 0..255, RGB, and what is to be found in it."""
        pictures, boxes, ids, certain = _batch(examples)
        most = boxes.shape[1]
        pictures, boxes = self._mosaic(pictures, boxes)
        if boxes.shape[1] > most:
            # A mosaic has the boxes of its four pictures one behind the other; the others keep their own.
            chosen = self._mosaic._params["batch_prob"] > 0.5
            sources = self._mosaic._params["permutation"]
            ids, certain = (_joined(of, sources, chosen) for of in (ids, certain))
        is_left = _areas(boxes) > 0
        pictures, boxes = self._others(pictures, boxes)
        visible = boxes.clamp(0, SIDE)
        share = _areas(visible) / _areas(boxes).clamp(min=1e-6)
        counts = is_left & (ids != _PADDING) & (_areas(visible) > _LEAST_PIXELS)
        is_object = counts & certain & (share > _LEAST_VISIBLE)
        is_uncertain = counts & ~is_object
        return pictures * 255, [
            Targets(*(of[n][kept[n]] for kept in (is_object, is_uncertain) for of in (visible, ids)))
            for n in range(len(examples))
        ]


def _batch(examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return pictures (N, 3, S, S) in 0..1 in the middle of squares, boxes, class ids and certainty."""
    most = max(1, *(len(example.boxes) for example in examples))
    pictures = np.full((len(examples), LONG_SIDE, LONG_SIDE, 3), _GREY, np.uint8)
    boxes = np.zeros((len(examples), most, 4), np.float32)
    ids = np.full((len(examples), most), _PADDING)
    certain = np.zeros((len(examples), most), bool)
    for n, example in enumerate(examples):
        picture = example.pixels()
        height, width = picture.shape[:2]
        top, left = (LONG_SIDE - height) // 2, (LONG_SIDE - width) // 2
        pictures[n, top : top + height, left : left + width] = picture
        scale = np.array([width / example.width, height / example.height] * 2, np.float32)
        count = len(example.boxes)
        boxes[n, :count] = example.boxes * scale + np.array([left, top] * 2, np.float32)
        ids[n, :count], certain[n, :count] = example.class_ids, example.is_certain
    channels_first = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return channels_first, torch.from_numpy(boxes), torch.from_numpy(ids), torch.from_numpy(certain)


def _joined(of_boxes: Tensor, sources: Tensor, chosen: Tensor) -> Tensor:
    """Return for the boxes (N, 4 M) of mosaics what is said of the boxes (N, M) of single pictures."""
    count, most = of_boxes.shape
    joined = torch.full((count, sources.shape[1] * most), _PADDING).to(of_boxes.dtype)
    joined[:, :most] = of_boxes
    joined[chosen] = of_boxes[sources[chosen]].flatten(1)
    return joined


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
