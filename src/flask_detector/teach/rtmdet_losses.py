"""What RTMDet-Ins is taught by: quality focal loss, GIoU and dice, cells assigned by dynamic soft labels.

Sources: Lyu et al., "RTMDet", 2022, arXiv:2212.07784; MMDetection 3.3.0, RTMDetInsHead.loss_by_feat,
loss_mask_by_feat and _mask_predict_by_feat_single, DynamicSoftLabelAssigner, QualityFocalLoss, GIoULoss and
DiceLoss, with what configs/rtmdet/rtmdet-ins_l_8xb32-300e_coco.py sets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from flask_detector.detectors.rtmdet.architecture import DYNAMIC_CHANNELS, STRIDES
from flask_detector.teach.losses import Targets, counted, generalised_iou, iou, quality_focal

_CANDIDATES = 13
_IOU_WEIGHT = 3.0
_CENTRE_RADIUS = 3.0
_EPSILON = 1e-7

_BOX_WEIGHT, _MASK_WEIGHT = 2.0, 2.0
_MASK_STRIDE = 4
_DICE_EPSILON = 5e-6

# Masks of so many cells are in memory at once; they are computed again for their gradients.
_BLOCK = 64


@dataclass(frozen=True)
class Answers:
    """What the heads say of N pictures. P: the cells of strides 8, 16, 32, row by row.

    classes: (N, P, classes) logits. boxes: (N, P, 4), xyxy, in pixels of the network's picture.
    kernels: (N, P, 169) each cell's dynamic convolutions. features: (N, 8, rows, columns) of stride 8.
    points: (P, 2) each cell's upper left corner. strides: (P,).
    """

    classes: Tensor
    boxes: Tensor
    kernels: Tensor
    features: Tensor
    points: Tensor
    strides: Tensor

    @classmethod
    def of(cls, maps: Sequence[Tensor]) -> "Answers":
        """Return the answers of the heads' maps: classes, sides and kernels by stride, then the features."""
        count = len(STRIDES)
        grids = [_grid(one, stride) for one, stride in zip(maps, STRIDES, strict=False)]
        points = torch.cat(grids)
        strides = torch.cat(
            [points.new_full((len(grid),), stride) for grid, stride in zip(grids, STRIDES, strict=True)]
        )
        classes, sides, kernels = (_rows(maps[n * count : (n + 1) * count]) for n in range(3))
        distances = sides.relu() * strides[:, None]
        boxes = torch.cat([points - distances[..., :2], points + distances[..., 2:]], -1)
        return cls(classes, boxes, kernels, maps[-1], points, strides)


@dataclass(frozen=True)
class Losses:
    """The parts of a batch's loss, weighted."""

    classes: Tensor
    boxes: Tensor
    masks: Tensor

    @property
    def total(self) -> Tensor:
        """All together."""
        return self.classes + self.boxes + self.masks


def losses_of(answers: Answers, targets: Sequence[Targets]) -> Losses:
    """Return the losses of a batch; objects without a mask count for classes and boxes alone."""
    quality = torch.zeros_like(answers.classes)
    giou, dice, masks = [], [], 0
    for n, target in enumerate(targets):
        assigned, overlaps = assign(answers, n, target)
        (where,) = torch.nonzero(assigned >= 0, as_tuple=True)
        objects = assigned[where]
        quality[n, where, target.class_ids[objects]] = overlaps[where]
        giou.append((1 - generalised_iou(answers.boxes[n, where], target.boxes[objects])) * overlaps[where])
        outlined = target.has_mask[objects]
        dice += list(_dice(answers, n, where[outlined], target.masks, objects[outlined]))
        masks += int(outlined.sum())
    counts = counted(answers.points, quality, targets)
    number = quality.sum().clamp(min=1)
    return Losses(
        quality_focal(answers.classes, quality, counts) / number,
        _BOX_WEIGHT * torch.cat(giou).sum() / number,
        # The sum of none has gradients, too.
        _MASK_WEIGHT * (sum(dice) + 0 * answers.features.sum()) / max(1, masks),
    )


def assign(answers: Answers, n: int, target: Targets) -> tuple[Tensor, Tensor]:
    """Return which object each cell of picture n is to predict, (P,), -1 for none, and its box's IoU with it.

    Each object gets about as many cells as the best IoUs add up to: those that cost least, in their class, in
    their box and in the distance from the object's centre of mass.
    """
    logits, boxes, points = answers.classes[n].detach(), answers.boxes[n].detach(), answers.points
    assigned = torch.full((len(points),), -1, device=points.device)
    quality = boxes.new_zeros(len(points))
    deltas = torch.cat([points[:, None] - target.boxes[:, :2], target.boxes[:, 2:] - points[:, None]], 2)
    (cells,) = torch.nonzero(
        (deltas.amin(2) > 0).any(1) if len(target.boxes) else assigned >= 0, as_tuple=True
    )
    if not len(cells):
        return assigned, quality
    overlaps = iou(boxes[cells][:, None], target.boxes[None])
    away = (points[cells][:, None] - _centres(target)).pow(2).sum(2).sqrt() / answers.strides[cells][:, None]
    of_class = functional.one_hot(target.class_ids, logits.shape[1])
    wanted = of_class * overlaps[..., None]
    given = logits[cells][:, None].expand_as(wanted)
    cost = (
        (
            functional.binary_cross_entropy_with_logits(given, wanted, reduction="none")
            * (wanted - given.sigmoid()).abs().pow(2)
        ).sum(2)
        - (overlaps + _EPSILON).log() * _IOU_WEIGHT
        + torch.pow(10, away - _CENTRE_RADIUS)
    )
    matched = torch.zeros_like(overlaps, dtype=torch.bool)
    numbers = overlaps.topk(min(_CANDIDATES, len(cells)), 0).values.sum(0).int().clamp(min=1)
    for object_id, number in enumerate(numbers.tolist()):
        matched[cost[:, object_id].topk(number, largest=False).indices, object_id] = True
    several = matched.sum(1) > 1
    matched[several] = functional.one_hot(cost[several].argmin(1), matched.shape[1]).bool()
    taken = matched.any(1)
    assigned[cells[taken]] = matched[taken].int().argmax(1)
    quality[cells[taken]] = overlaps[taken][matched[taken]]
    return assigned, quality


def mask_logits(features: Tensor, kernels: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Return the logits (K, rows, columns) of the masks of K cells; see `rtmdet.masks.mask_logits`."""
    rows, columns = features.shape[1:]
    y, x = torch.meshgrid(
        torch.arange(rows, device=features.device),
        torch.arange(columns, device=features.device),
        indexing="ij",
    )
    grid = torch.stack([x, y]).flatten(1) * STRIDES[0]
    relative = (points[..., None] - grid) / (strides[:, None, None] * 8)
    values = torch.cat([relative, features.flatten(1).expand(kernels.shape[0], -1, -1)], 1)
    for i, (weights, biases) in enumerate(_convolutions(kernels)):
        values = torch.baddbmm(biases, weights, values.relu() if i else values)
    return values.view(-1, rows, columns)


def _convolutions(kernels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weights (K, out, in) and biases (K, out, 1) of the three convolutions."""
    weight, bias = 0, sum(inputs * outputs for inputs, outputs in DYNAMIC_CHANNELS)
    for inputs, outputs in DYNAMIC_CHANNELS:
        count = inputs * outputs
        weights = kernels[:, weight : weight + count].reshape(-1, outputs, inputs)
        yield weights, kernels[:, bias : bias + outputs, None]
        weight, bias = weight + count, bias + outputs


def _dice(answers: Answers, n: int, cells: Tensor, masks: Tensor, objects: Tensor) -> Iterator[Tensor]:
    """Yield the dice losses of cells, block by block; masks: (M, H, W) of all objects."""
    first = _MASK_STRIDE // 2
    small = masks[:, first::_MASK_STRIDE, first::_MASK_STRIDE]

    def of_block(features: Tensor, kernels: Tensor, chosen: Tensor, wanted: Tensor) -> Tensor:
        logits = mask_logits(features, kernels, answers.points[chosen], answers.strides[chosen])
        scale = STRIDES[0] / _MASK_STRIDE
        enlarged = functional.interpolate(
            logits[None], scale_factor=scale, mode="bilinear", align_corners=False
        )
        found, truth = enlarged[0].sigmoid().flatten(1), wanted.flatten(1).to(logits.dtype)
        squares = (found * found).sum(1) + (truth * truth).sum(1) + 2 * _DICE_EPSILON
        return (1 - 2 * (found * truth).sum(1) / squares).sum()

    for start in range(0, len(cells), _BLOCK):
        chosen = cells[start : start + _BLOCK]
        wanted = small[objects[start : start + _BLOCK]]
        kernels = answers.kernels[n, chosen]
        yield checkpoint(of_block, answers.features[n], kernels, chosen, wanted, use_reentrant=False)


def _centres(target: Targets) -> Tensor:
    """Return the centres of mass (M, 2) of the objects' masks; of their boxes where they have none."""
    of_boxes = (target.boxes[:, :2] + target.boxes[:, 2:]) / 2
    if not target.has_mask.any():
        return of_boxes
    masks = target.masks.to(of_boxes.dtype)
    number = masks.sum((1, 2)).clamp(min=_EPSILON)
    rows, columns = (torch.arange(side).to(masks) for side in masks.shape[1:])
    of_masks = torch.stack([(masks.sum(1) @ columns) / number, (masks.sum(2) @ rows) / number], 1)
    return torch.where(target.has_mask[:, None], of_masks, of_boxes)


def _grid(level: Tensor, stride: int) -> Tensor:
    """Return the points (rows * columns, 2) of a level's cells."""
    rows, columns = (torch.arange(side, device=level.device) for side in level.shape[-2:])
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).to(level.dtype) * stride


def _rows(levels: Sequence[Tensor]) -> Tensor:
    """Return maps (N, C, rows, columns) of all levels as (N, P, C)."""
    return torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
