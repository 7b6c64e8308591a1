"""The objects that a detector found in one picture, as arrays with invariants."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from flask_detector.structures import boxes as box_geometry
from flask_detector.structures.labels import plural
from flask_detector.structures.masks import MOST_PIXELS, Mask
from flask_detector.structures.polygons import mask_of, parts_of

JSON_VERSION = 1

# How masks are encoded in JSON.
MaskEncoding = Literal["rle", "polygon", "none"]


Source = Literal["model", "person"]


@dataclass(frozen=True)
class Origin:
    """Where an instance of a corrected result comes from.

    source: the model, if the object is as it said, or the person who drew or changed it.
    verified: whether a person has agreed with it.
    model_score: the model's score of the object; None for one that a person added.
    """

    source: Source
    verified: bool
    model_score: float | None


@dataclass(frozen=True)
class Instance:
    """One found object; `box` is xyxy in pixels of the picture.

    mask: None for a boxes-only model, and for what a person drew as a box.
    origin: None where nobody has corrected the result.
    """

    label: str
    class_id: int
    score: float
    box: box_geometry.Box
    mask: Mask | None
    origin: Origin | None = None


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects found in one picture, best score first.

    width, height: the picture's size in pixels as the user sees it (after EXIF orientation).
    boxes: (N, 4) float32, xyxy, in pixels of that picture and clipped to it.
    scores: (N,) float32 in 0..1, descending.
    class_ids: (N,) int64, each an index into `labels`.
    labels: the names of all classes that the model knows.
    model: the name of the model that found them.
    masks: None for a boxes-only model, else one for each instance, in the same order, within the picture; in
        a corrected result None for an instance that a person drew as a box.
    origins: where each instance comes from, in the same order; None where nobody has corrected the result.
    timings: seconds by stage, in the order of the stages; the stages follow one another.

    Raises ValueError when an array's shape or values break one of these rules.
    """

    width: int
    height: int
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    model: str
    masks: tuple[Mask | None, ...] | None = None
    origins: tuple[Origin, ...] | None = None
    timings: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.scores)
        if not all(isinstance(side, int | np.integer) and side >= 0 for side in (self.width, self.height)):
            raise ValueError("width and height must be whole numbers that are not negative")
        if int(self.width) * int(self.height) > MOST_PIXELS:
            raise ValueError("width times height must fit into 32 bits, as run lengths do")
        if self.boxes.shape != (count, 4) or self.class_ids.shape != (count,) or self.scores.ndim != 1:
            raise ValueError("boxes (N, 4), scores (N,) and class_ids (N,) must be of one N")
        if self.masks is not None and len(self.masks) != count:
            raise ValueError("there must be one mask for each instance")
        if self.origins is not None and len(self.origins) != count:
            raise ValueError("there must be one origin for each instance")
        placed = (mask for mask in self.masks or () if mask is not None)
        if any(m.x + m.width > self.width or m.y + m.height > self.height for m in placed):
            raise ValueError("masks must lie within the picture")
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise ValueError("boxes and scores must be finite numbers")
        if ((self.scores < 0) | (self.scores > 1)).any() or (np.diff(self.scores) > 0).any():
            raise ValueError("scores must lie in 0..1 and descend")
        if ((self.class_ids < 0) | (self.class_ids >= len(self.labels))).any():
            raise ValueError("class_ids must be indices into labels")
        inside = box_geometry.clip(self.boxes, width=self.width, height=self.height)
        if (inside != self.boxes).any() or (self.boxes[:, :2] > self.boxes[:, 2:]).any():
            raise ValueError("boxes must be xyxy and lie within the picture")

    @classmethod
    def from_unordered(
        cls,
        boxes: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        class_ids: npt.NDArray[np.int64],
        *,
        masks: tuple[Mask | None, ...] | None = None,
        origins: tuple[Origin, ...] | None = None,
        width: int,
        height: int,
        labels: tuple[str, ...],
        model: str,
        timings: Mapping[str, float] | None = None,
    ) -> Self:
        """Return the detections with the boxes clipped to the picture and the best score first."""
        order = np.argsort(-scores, kind="stable")
        return cls(
            width=width,
            height=height,
            boxes=box_geometry.clip(boxes[order].astype(np.float32), width=width, height=height),
            scores=scores[order].astype(np.float32),
            class_ids=class_ids[order].astype(np.int64),
            labels=labels,
            model=model,
            masks=None if masks is None else tuple(masks[i] for i in order),
            origins=None if origins is None else tuple(origins[i] for i in order),
            timings=timings or {},
        )

    def __repr__(self) -> str:
        found = (
            ", ".join(f"{number} {plural(label, number)}" for label, number in self.counts().items())
            or "nothing"
        )
        return f"<Detections: {found} ({self.model}, {self.width}x{self.height})>"

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Instance]:
        for i in range(len(self)):
            x1, y1, x2, y2 = self.boxes[i].tolist()
            class_id = int(self.class_ids[i])
            mask = None if self.masks is None else self.masks[i]
            origin = None if self.origins is None else self.origins[i]
            score = float(self.scores[i])
            yield Instance(self.labels[class_id], class_id, score, (x1, y1, x2, y2), mask, origin)

    def counts(self) -> dict[str, int]:
        """Return how many instances each found label has, most first, then by name."""
        found, numbers = np.unique(self.class_ids, return_counts=True)
        named = [(self.labels[c], int(n)) for c, n in zip(found, numbers, strict=True)]
        return dict(sorted(named, key=lambda item: (-item[1], item[0])))

    def over(self, min_score: float) -> Self:
        """Return only the instances whose score is at least `min_score`."""
        return self.where(self.scores >= min_score)

    def only(self, labels: Collection[str]) -> Self:
        """Return only the instances of these classes."""
        kept = [c for c, label in enumerate(self.labels) if label in labels]
        return self.where(np.isin(self.class_ids, kept))

    def without(self, labels: Collection[str]) -> Self:
        """Return only the instances of other classes."""
        left_out = [c for c, label in enumerate(self.labels) if label in labels]
        return self.where(~np.isin(self.class_ids, left_out))

    def where(self, keep: npt.NDArray[np.bool_]) -> Self:
        """Return only the instances for which `keep` (N,) is true."""
        return replace(
            self,
            boxes=self.boxes[keep],
            scores=self.scores[keep],
            class_ids=self.class_ids[keep],
            masks=None if self.masks is None else tuple(compress(self.masks, keep)),
            origins=None if self.origins is None else tuple(compress(self.origins, keep)),
        )

    def to_json(self, *, masks: MaskEncoding = "rle") -> dict[str, Any]:
        """Return the detections as plain containers: version 1 of the document in docs/results.md.

        masks: as COCO's run lengths, as polygons along the edges of pixels, or not at all. `from_json` reads
        each.
        """
        return {
            "version": JSON_VERSION,
            "model": self.model,
            "width": self.width,
            "height": self.height,
            "corrected": self.origins is not None,
            "instances": self._instances_to_json(masks),
            "labels": list(self.labels),
            "has_masks": self.masks is not None and masks != "none",
            "timings_ms": {stage: round(seconds * 1000, 2) for stage, seconds in self.timings.items()},
        }

    def _instances_to_json(self, masks: MaskEncoding) -> list[dict[str, Any]]:
        # All numbers at once: number by number this took longer than to write the JSON.
        scores = self.scores.astype(np.float64).round(6).tolist()
        boxes = self.boxes.astype(np.float64).round(3).tolist()
        entries: list[dict[str, Any]] = [
            {"label": self.labels[class_id], "class_id": class_id, "score": score, "box": box}
            for class_id, score, box in zip(self.class_ids.tolist(), scores, boxes, strict=True)
        ]
        for entry, origin in zip(entries, self.origins or (), strict=False):
            entry |= {
                "source": origin.source,
                "verified": origin.verified,
                "model_score": None if origin.model_score is None else round(origin.model_score, 6),
            }
        for entry, mask in zip(entries, self.masks or (), strict=False):
            if mask is None:
                continue
            entry["area"] = mask.area
            if masks == "rle":
                entry["mask"] = mask.to_rle(width=self.width, height=self.height)
            elif masks == "polygon":
                entry["polygons"] = rings_of(mask)
        return entries

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the detections that `to_json` wrote.

        Raises ValueError when the document is of another version or breaks a rule of this class.
        """
        try:
            if document["version"] != JSON_VERSION:
                raise ValueError(f"version {document['version']!r} of the result document is not known")
            instances = document["instances"]
            return cls(
                width=document["width"],
                height=document["height"],
                boxes=np.array([i["box"] for i in instances], np.float32).reshape(-1, 4),
                scores=np.array([i["score"] for i in instances], np.float32),
                class_ids=np.array([i["class_id"] for i in instances], np.int64),
                labels=tuple(document["labels"]),
                model=document["model"],
                masks=tuple(_mask_of(i, document) for i in instances) if document["has_masks"] else None,
                # Results that were kept before results could be corrected don't say whether they are.
                origins=tuple(map(_origin_of, instances)) if document.get("corrected") else None,
                timings={stage: ms / 1000 for stage, ms in document["timings_ms"].items()},
            )
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"not a detection result: {error}") from error


def rings_of(mask: Mask) -> list[list[list[list[int]]]]:
    """Return a mask's parts as in JSON: of each its outline, then its holes, each a list of corners."""
    return [[ring.tolist() for ring in (part.outer, *part.holes)] for part in parts_of(mask)]


def _mask_of(instance: Mapping[str, Any], document: Mapping[str, Any]) -> Mask | None:
    if "polygons" in instance:
        return mask_of(instance["polygons"], width=document["width"], height=document["height"])
    if "mask" not in instance and document.get("corrected"):
        return None
    return Mask.from_rle(instance["mask"])


def _origin_of(instance: Mapping[str, Any]) -> Origin:
    if instance["source"] not in {"model", "person"}:
        raise ValueError("source must be model or person")
    return Origin(instance["source"], bool(instance["verified"]), instance["model_score"])
