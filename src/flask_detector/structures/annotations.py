"""The objects of one picture as a person has corrected them: what a model said, changed and added to.

The document is described in docs/results.md. What can't be used is named by its field, ``objects[3].box``,
since these documents are written by people's browsers and programs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from flask_detector.structures.annotation import (
    LONGEST_ID,
    SCORE_DIGITS,
    Annotation,
    AnnotationError,
    Reader,
    bool_of,
    check_label,
    fields_of,
    is_side,
    list_of,
    require,
    rounded,
)
from flask_detector.structures.detections import Detections, MaskEncoding, Origin, rings_of
from flask_detector.structures.masks import MOST_PIXELS

JSON_VERSION = 1
MOST_OBJECTS = 5000
MOST_LABELS = 5000


@dataclass(frozen=True)
class Annotations:
    """The objects of one picture.

    width, height: of the picture as the user sees it, in pixels.
    labels: of all classes; each object's is one of them.
    verified: whether a person has looked at the picture and agrees with all of it.

    Raises AnnotationError where a rule is broken.
    """

    width: int
    height: int
    objects: tuple[Annotation, ...]
    labels: tuple[str, ...]
    verified: bool = False

    def __post_init__(self) -> None:
        require(is_side(self.width), "width", "must be a whole number from 1 on")
        require(is_side(self.height), "height", "must be a whole number from 1 on")
        require(self.width * self.height <= MOST_PIXELS, "width", "times height must fit into 32 bits")
        require(len(self.labels) <= MOST_LABELS, "labels", f"has more than {MOST_LABELS:,} entries")
        for number, label in enumerate(self.labels):
            check_label(label, f"labels[{number}]")
        require(len(set(self.labels)) == len(self.labels), "labels", "names a class twice")
        require(len(self.objects) <= MOST_OBJECTS, "objects", f"has more than {MOST_OBJECTS:,} entries")
        known, ids = set(self.labels), set[str]()
        for number, one in enumerate(self.objects):
            field = f"objects[{number}]"
            require(one.id not in ids, f"{field}.id", "is that of another object, too")
            ids.add(one.id)
            require(one.label in known, f"{field}.label", "is not among the labels")
            self._check(one, field)

    def _check(self, one: Annotation, field: str) -> None:
        plain = 0 < len(one.id) <= LONGEST_ID and one.id.isascii() and one.id.isprintable()
        require(plain, f"{field}.id", f"must have 1 to {LONGEST_ID} printable ASCII characters")
        require(one.score is None or 0 <= one.score <= 1, f"{field}.score", "must lie in 0..1")
        x1, y1, x2, y2 = one.box
        require(all(map(math.isfinite, one.box)), f"{field}.box", "must be finite numbers")
        require(x1 < x2 and y1 < y2, f"{field}.box", "must be x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        inside = x1 >= 0 and y1 >= 0 and x2 <= self.width and y2 <= self.height
        require(inside, f"{field}.box", f"must lie within the picture of {self.width} x {self.height} pixels")
        mask = one.mask
        if mask is not None:
            fits = mask.x + mask.width <= self.width and mask.y + mask.height <= self.height
            require(fits, f"{field}.mask", "must lie within the picture")

    @classmethod
    def from_detections(cls, found: Detections) -> Self:
        """Return what a model said as annotations that nobody has looked at.

        A box that has no area, since what it marks lies beyond the picture, is none here.
        """
        objects = []
        for number, one in enumerate(found):
            x1, y1, x2, y2 = box = rounded(one.box)
            if x1 < x2 and y1 < y2:
                score = round(one.score, SCORE_DIGITS)
                objects.append(Annotation(f"m{number}", one.label, "model", score, False, box, one.mask))
        return cls(found.width, found.height, tuple(objects), tuple(dict.fromkeys(found.labels)))

    def to_detections(self, model: str) -> Detections:
        """Return what exports, drawings and counts show.

        What a person drew or agreed with has a score of 1, so that no minimum score leaves it out.

        model: the name of the model whose result was corrected.
        """
        class_ids = {label: number for number, label in enumerate(self.labels)}
        sure = [self.verified or one.verified or one.source == "person" for one in self.objects]
        scores = [1.0 if s else one.score or 0.0 for s, one in zip(sure, self.objects, strict=True)]
        masks = tuple(one.mask for one in self.objects)
        return Detections.from_unordered(
            np.array([one.box for one in self.objects], np.float32).reshape(-1, 4),
            np.array(scores, np.float32),
            np.array([class_ids[one.label] for one in self.objects], np.int64),
            masks=masks if any(mask is not None for mask in masks) else None,
            origins=tuple(
                Origin(one.source, self.verified or one.verified, one.score) for one in self.objects
            ),
            width=self.width,
            height=self.height,
            labels=self.labels,
            model=model,
        )

    def agreeing_with(self, said: Self) -> Self:
        """Return the same with what the model said taken from there: its scores, and its own objects' masks.

        Raises AnnotationError where an object is not as the model said though it says so, or has a score that
        is not the model's.
        """
        theirs = {one.id: one for one in said.objects}
        objects = []
        for number, one in enumerate(self.objects):
            field, own, original = f"objects[{number}]", one, theirs.get(one.id)
            score = None if original is None else original.score
            require(one.score in {None, score}, f"{field}.score", f"must be the model's, {score}, or null")
            if one.source == "model":
                if original is None or not one.is_like(original):
                    raise AnnotationError(f"{field}.source", "is model, but the model said otherwise")
                own = original
            objects.append(replace(own, score=score, verified=one.verified))
        return replace(self, objects=tuple(objects)).with_labels(said.labels)

    def with_labels(self, first: Iterable[str]) -> Self:
        """Return the same with these labels before all others, so that their class ids stay."""
        return replace(self, labels=tuple(dict.fromkeys([*first, *self.labels])))

    def to_json(self, *, masks: MaskEncoding = "rle") -> dict[str, Any]:
        """Return version 1 of the document.

        masks: as COCO's run lengths; as polygons, the drawn ones or else those along the edges of pixels; or
        not at all. `from_json` reads each.
        """
        return {
            "version": JSON_VERSION,
            "width": self.width,
            "height": self.height,
            "verified": self.verified,
            "labels": list(self.labels),
            "objects": [self._to_json(one, masks) for one in self.objects],
        }

    def _to_json(self, one: Annotation, masks: MaskEncoding) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "id": one.id,
            "label": one.label,
            "source": one.source,
            "score": one.score,
            "verified": one.verified,
            "box": list(one.box),
        }
        if one.mask is None or masks == "none":
            return entry
        if masks == "rle":
            entry["mask"] = one.mask.to_rle(width=self.width, height=self.height)
        if one.polygons is not None or masks == "polygon":
            entry["polygons"] = one.polygons or rings_of(one.mask)
        return entry

    @classmethod
    def from_json(cls, document: Any, *, size: tuple[int, int] | None = None) -> Self:
        """Return the annotations of a document.

        Labels of objects that `labels` does not list are added to it; a box that is missing is the mask's.
        Where an object has polygons its mask is what they cover.

        size: width and height that the picture must have.

        Raises AnnotationError, which names the field.
        """
        form = fields_of(document, "", ("version", "width", "height"), {"verified", "labels", "objects"})
        require(form["version"] == JSON_VERSION, "version", f"must be {JSON_VERSION}")
        for name, wanted in zip(("width", "height"), size or (None, None), strict=True):
            require(is_side(form[name]), name, "must be a whole number from 1 on")
            require(wanted in {None, form[name]}, name, f"must be the picture's, {wanted}")
        labels = list_of(form.get("labels", []), "labels")
        require(len(labels) <= MOST_LABELS, "labels", f"has more than {MOST_LABELS:,} entries")
        for number, label in enumerate(labels):
            check_label(label, f"labels[{number}]")
        require(len(set(labels)) == len(labels), "labels", "names a class twice")
        entries = list_of(form.get("objects", []), "objects")
        require(len(entries) <= MOST_OBJECTS, "objects", f"has more than {MOST_OBJECTS:,} entries")
        reader = Reader(form["width"], form["height"])
        objects = tuple(reader.read(entry, f"objects[{number}]") for number, entry in enumerate(entries))
        used = tuple(dict.fromkeys([*labels, *(one.label for one in objects)]))
        verified = bool_of(form.get("verified", False), "verified")
        return cls(form["width"], form["height"], objects, used, verified)
