"""Batches of pictures that are changed each time they are seen, by kornia; boxes and masks go along."""

from collections.abc import Sequence
from typing import Final

import kornia.augmentation as kornia
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flask_detector.teach.bases import Base
from flask_detector.teach.examples import Example
from flask_detector.teach.losses import Targets

_GREY: Final = 114
# Of an object that is cut off by an edge, this much must be left for it to count as one.
_LEAST_VISIBLE: Final = 0.3
_LEAST_PIXELS: Final = 16
_PADDING: Final = -1


class Augmentation:
    """Mosaics of four pictures, mirrored, scaled, cropped and of other colours.

    Its random numbers are of PyTorch's own generator. Masks go along as layers in which each object has
    its number, as few as objects overlap: what they take does not grow with the number of objects.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        whole, side = (base.picture_side,) * 2, base.side
        self._mosaic = kornia.RandomMosaic(whole, p=0.5, data_keys=["input", "bbox_xyxy"])
        self._others = kornia.AugmentationSequential(
            kornia.RandomHorizontalFlip(),
            kornia.RandomResizedCrop((side, side), (0.4, 1.0), (0.8, 1.25), cropping_mode="resample"),
            kornia.ColorJiggle(0.2, 0.3, 0.3, 0.02, p=0.8),
            data_keys=["input", "mask", "bbox_xyxy"],
        )

    def __call__(self, examples: Sequence[Example]) -> tuple[Tensor, list[Targets]]:
        """Return a batch (N, 3, side, side) in 0..255, RGB, and what is to be found in it."""
        batch = _Batch(examples, self._base)
        boxes, ids, certain, numbers = batch.boxes, batch.ids, batch.certain, batch.numbers
        most = boxes.shape[1]
        # The layers are only cut and joined here, as further channels.
        pictures, boxes = self._mosaic(torch.cat([batch.pictures, batch.layers], 1), boxes)
        if boxes.shape[1] > most:
            # A mosaic has the boxes of its four pictures one behind the other; the others keep their own.
            chosen = self._mosaic._params["batch_prob"] > 0.5
            sources = self._mosaic._params["permutation"]
            ids, certain, numbers = (_joined(of, sources, chosen) for of in (ids, certain, numbers))
        is_left = _areas(boxes) > 0
        pictures, layers, boxes = self._others(pictures[:, :3], pictures[:, 3:], boxes)
        side = self._base.side
        visible = boxes.clamp(0, side)
        share = _areas(visible) / _areas(boxes).clamp(min=1e-6)
        counts = is_left & (ids != _PADDING) & (_areas(visible) > _LEAST_PIXELS)
        is_object = counts & certain & (share > _LEAST_VISIBLE)
        is_uncertain = counts & ~is_object
        targets = []
        for n in range(len(examples)):
            masks = (layers[n][None] == numbers[n][is_object[n]][:, None, None, None]).any(1)
            sure, unsure = is_object[n], is_uncertain[n]
            targets.append(
                Targets(
                    visible[n][sure],
                    ids[n][sure],
                    visible[n][unsure],
                    ids[n][unsure],
                    masks,
                    masks.flatten(1).any(1),
                )
            )
        return pictures * 255, targets


class _Batch:
    """Pictures as arrays, each in the middle of a square.

    pictures: (N, 3, S, S) in 0..1. layers: (N, L, S, S) the number of the object whose mask is there, or 0.
    boxes: (N, M, 4). ids: (N, M) of the classes. certain: (N, M). numbers: (N, M) of the objects, from 1 on.
    """

    def __init__(self, examples: Sequence[Example], base: Base) -> None:
        count, side = len(examples), base.picture_side
        most = max(1, *(len(example.boxes) for example in examples))
        pictures = np.full((count, side, side, 3), _GREY, np.uint8)
        boxes = np.zeros((count, most, 4), np.float32)
        ids = np.full((count, most), _PADDING)
        certain = np.zeros((count, most), bool)
        layers: list[list[npt.NDArray[np.float32]]] = []
        for n, example in enumerate(examples):
            picture = example.pixels()
            height, width = picture.shape[:2]
            top, left = (side - height) // 2, (side - width) // 2
            pictures[n, top : top + height, left : left + width] = picture
            scale = np.array([width / example.width, height / example.height] * 2, np.float32)
            objects = len(example.boxes)
            boxes[n, :objects] = example.boxes * scale + np.array([left, top] * 2, np.float32)
            ids[n, :objects], certain[n, :objects] = example.class_ids, example.is_certain
            layers.append([])
            for layer in _layers(example, n * most + 1) if base.has_masks else ():
                layers[n].append(np.zeros((side, side), np.float32))
                layers[n][-1][top : top + height, left : left + width] = layer
        depth = max(map(len, layers))
        empty = np.zeros((side, side), np.float32)
        stacked = [one + [empty] * (depth - len(one)) for one in layers]
        self.pictures = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        self.layers = torch.from_numpy(np.array(stacked, np.float32).reshape(count, depth, side, side))
        self.boxes, self.ids, self.certain = (torch.from_numpy(one) for one in (boxes, ids, certain))
        self.numbers = torch.arange(1, count * most + 1).reshape(count, most)


def _layers(example: Example, first: int) -> list[npt.NDArray[np.float32]]:
    """Return the masks of a picture in as few layers (H, W) as they overlap, with its object's number."""
    layers: list[npt.NDArray[np.float32]] = []
    for number, mask in enumerate(example.small_masks, start=first):
        if mask is not None:
            free = next((one for one in layers if not one[mask].any()), None)
            if free is None:
                layers.append(free := np.zeros(mask.shape, np.float32))
            free[mask] = number
    return layers


def _joined(of_boxes: Tensor, sources: Tensor, chosen: Tensor) -> Tensor:
    """Return for the boxes (N, 4 M) of mosaics what is said of the boxes (N, M) of single pictures."""
    count, most = of_boxes.shape
    joined = torch.full((count, sources.shape[1] * most), _PADDING).to(of_boxes.dtype)
    joined[:, :most] = of_boxes
    joined[chosen] = of_boxes[sources[chosen]].flatten(1)
    return joined


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
