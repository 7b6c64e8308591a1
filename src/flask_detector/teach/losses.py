"""What the network is taught by: generalised focal loss, with boxes assigned to cells by ATSS.

Sources: Li et al., Generalized Focal Loss, 2020, arXiv:2006.04388; Zhang et al., Adaptive Training Sample
Selection, 2020, arXiv:1912.02424; Rezatofighi et al., Generalized IoU, 2019, arXiv:1902.09630. The weights of
the parts are those that the base model was trained with (RangiLyu/nanodet, nanodet-g.yml).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from flask_detector.detectors.nanodet.detector import STRIDES

DISTANCES = 11

# An anchor is a square of so many strides around its cell; the nearest of each level are candidates.
_ANCHOR_STRIDES = 8
_CANDIDATES = 9

_FOCUS = 2.0
_GIOU_WEIGHT, _DISTRIBUTION_WEIGHT = 2.0, 0.25


@dataclass(frozen=True)
class Targets:
    """What is to be found in one picture of a batch.

    boxes: (M, 4), xyxy, in pixels of the network's picture. class_ids: (M,).
    uncertain: (U, 4) boxes in which objects may be that nobody has marked. uncertain_ids: (U,) their classes.
        A cell whose centre lies in one is not taught that this class is not there.
    masks: (M, H, W) bool, empty for objects without one; of a base without masks (M, 0, 0). has_mask: (M,).
    """

    boxes: Tensor
    class_ids: Tensor
    uncertain: Tensor
    uncertain_ids: Tensor
    masks: Tensor
    has_mask: Tensor

    def to(self, device: torch.device) -> "Targets":
        """Return them on a device."""
        return Targets(*(getattr(self, field.name).to(device) for field in fields(self)))


class Cells:
    """The cells of all strides for pictures of one size: their centres (P, 2) and strides (P,), in pixels."""

    def __init__(self, width: int, height: int, device: torch.device | str = "cpu") -> None:
        centres, strides = [], []
        for stride in STRIDES:
            rows, columns = torch.meshgrid(
                torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
            )
            centres.append((torch.stack([columns, rows], -1).reshape(-1, 2) + 0.5) * stride)
            strides.append(torch.full((len(centres[-1]),), float(stride)))
        self.counts = [len(one) for one in centres]
        self.centres, self.strides = torch.cat(centres).to(device), torch.cat(strides).to(device)

    def assign(self, boxes: Tensor) -> Tensor:
        """Return for each cell the index (P,) of the box (M, 4) that it is to predict, -1 for none.

        Of each level the cells nearest to a box's centre are candidates; those are taken whose anchors
        overlap the box more than the candidates' mean and standard deviation together, and whose centres lie
        in it.
        """
        assigned = torch.full((len(self.centres),), -1, device=self.centres.device)
        if not len(boxes):
            return assigned
        half = self.strides[:, None] * _ANCHOR_STRIDES / 2
        overlaps = iou(torch.cat([self.centres - half, self.centres + half], 1)[:, None], boxes[None])
        distances = torch.cdist(self.centres, (boxes[:, :2] + boxes[:, 2:]) / 2)
        nearest, start = [], 0
        for count in self.counts:
            of_level = distances[start : start + count]
            nearest.append(of_level.topk(min(_CANDIDATES, count), 0, largest=False).indices + start)
            start += count
        candidates = torch.cat(nearest)
        found = overlaps.gather(0, candidates)
        is_taken = torch.zeros_like(overlaps, dtype=torch.bool)
        is_taken.scatter_(0, candidates, found >= found.mean(0) + found.std(0))
        is_taken &= _are_in(self.centres, boxes)
        best = torch.where(is_taken, overlaps, -1.0).max(1)
        return torch.where(best.values >= 0, best.indices, assigned)


def loss_of(classes: Tensor, sides: Tensor, targets: Sequence[Targets], cells: Cells) -> Tensor:
    """Return the loss of a batch.

    classes: (N, P, classes) logits. sides: (N, P, 44) logits, see `Network`.
    """
    quality = torch.zeros_like(classes)
    is_object = torch.zeros_like(classes, dtype=torch.bool)
    predicted, wanted, rows, positives = [], [], [], []
    for n, target in enumerate(targets):
        assigned = cells.assign(target.boxes)
        (where,) = torch.nonzero(assigned >= 0, as_tuple=True)
        logits = sides[n, where].reshape(-1, 4, DISTANCES)
        boxes = target.boxes[assigned[where]]
        found = decode(logits, cells.centres[where], cells.strides[where])
        ids = target.class_ids[assigned[where]]
        quality[n, where, ids] = iou(found.detach(), boxes)
        is_object[n, where, ids] = True
        predicted.append(found)
        wanted.append(boxes)
        rows.append(logits)
        positives.append((n, where))
    number = max(1, sum(len(where) for _, where in positives))
    counts = counted(cells.centres, is_object, targets)
    total = quality_focal(classes, quality, counts) / number
    # Cells that are sure of their class matter more for the boxes.
    sure = torch.cat([classes[n, where].detach().sigmoid().amax(1) for n, where in positives])
    if not len(sure):
        return total
    boxes, logits = torch.cat(wanted), torch.cat(rows)
    centres = torch.cat([cells.centres[where] for _, where in positives])
    strides = torch.cat([cells.strides[where] for _, where in positives])
    giou = 1 - generalised_iou(torch.cat(predicted), boxes)
    distances = torch.cat([centres - boxes[:, :2], boxes[:, 2:] - centres], 1) / strides[:, None]
    spread = distribution_loss(logits, distances).mean(1)
    regression = (_GIOU_WEIGHT * giou + _DISTRIBUTION_WEIGHT * spread) * sure
    return total + regression.sum() / sure.sum().clamp(min=1e-6)


def quality_focal(classes: Tensor, quality: Tensor, counts: Tensor) -> Tensor:
    """Return the quality focal loss, summed.

    classes: logits. quality: for each the IoU that it is to be, 0 for the background. counts: or not.
    """
    focal = functional.binary_cross_entropy_with_logits(classes, quality, reduction="none")
    return (focal * (quality - classes.sigmoid()).abs().pow(_FOCUS) * counts).sum()


def counted(points: Tensor, is_object: Tensor, targets: Sequence[Targets]) -> Tensor:
    """Return which classes of which cells (N, P, classes) are taught: not those of uncertain objects.

    points: (P, 2) of the cells. is_object: (N, P, classes) what they are to predict, taught in any case.
    """
    counts = torch.ones_like(is_object, dtype=torch.bool)
    for n, target in enumerate(targets):
        for box, class_id in zip(target.uncertain, target.uncertain_ids, strict=True):
            counts[n, _are_in(points, box[None])[:, 0], class_id] = False
    return counts | (is_object != 0)


def decode(logits: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Return the boxes (N, 4), xyxy, of logits (N, 4, 11); see `nanodet.detector.decode`."""
    numbers = torch.arange(DISTANCES, dtype=logits.dtype, device=logits.device)
    distances = (logits.softmax(2) @ numbers) * strides[:, None]
    return torch.cat([centres - distances[:, :2], centres + distances[:, 2:]], 1)


def distribution_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """Return the cross entropy (N, 4) with the two whole numbers about each distance (N, 4), in strides."""
    distances = distances.clamp(0, DISTANCES - 1.01)
    lower = distances.long()
    share = distances - lower
    logarithms = logits.log_softmax(2)
    low = logarithms.gather(2, lower[..., None])[..., 0]
    high = logarithms.gather(2, lower[..., None] + 1)[..., 0]
    return -(low * (1 - share) + high * share)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of boxes (…, 4) with boxes (…, 4), broadcast."""
    intersection, union = _areas(a, b)
    return intersection / union.clamp(min=1e-6)


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the generalised IoU (N,) of boxes (N, 4) with boxes (N, 4)."""
    intersection, union = _areas(a, b)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1).clamp(min=1e-6)
    return intersection / union.clamp(min=1e-6) - (hull - union) / hull


def _areas(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    intersection = sides.clamp(min=0).prod(-1)
    areas = [(one[..., 2:] - one[..., :2]).clamp(min=0).prod(-1) for one in (a, b)]
    return intersection, areas[0] + areas[1] - intersection


def _are_in(points: Tensor, boxes: Tensor) -> Tensor:
    """Tell for points (P, 2) in which of boxes (M, 4) they lie: (P, M)."""
    return ((points[:, None] > boxes[None, :, :2]) & (points[:, None] < boxes[None, :, 2:])).all(2)
