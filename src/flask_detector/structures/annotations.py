"""The objects of one picture as a person has corrected them: what a model said, changed and added to.

The document is described in docs/results.md. What can't be used is named by its field, ``objects[3].box``,
since these documents are written by people's browsers and programs.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Self, cast, get_args

import numpy as np

from flask_detector.structures.boxes import Box
from flask_detector.structures.detections import Detections, MaskEncoding, Origin, Source, rings_of
from flask_detector.structures.labels import problem_of
from flask_detector.structures.masks import MOST_PIXELS, Mask
from flask_detector.structures.polygons import MOST_COLUMNS, columns_of, mask_of

JSON_VERSION = 1
MOST_OBJECTS = 5000
MOST_LABELS = 5000

# Outlines of all objects of a picture together; filling them takes seconds.
_MOST_COLUMNS = 10 * MOST_COLUMNS
_LONGEST_ID = 40
_OPTIONAL = frozenset({"source", "score", "verified", "box", "mask", "polygons"})
_BOX_DIGITS, _SCORE_DIGITS = 3, 6  # after the point, as in results

# Of an object's outlines as a person drew them: for each part its rings, for each of these its corners.
Polygons = Sequence[Sequence[Sequence[Sequence[float]]]]


class AnnotationError(ValueError):
    """Annotations that can't be used; `field` says where, and is empty for the whole document."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field or 'The document'} {problem}.")
        self.field = field


@dataclass(frozen=True)
class Annotation:
    """One object.

    id: unique in the picture; "m0", "m1", … for what the model found, by its place in the result.
    source: "model" where the object is as the model said, else "person".
    score: the model's, in 0..1; None for an object that a person added.
    verified: whether a person has agreed with it.
    box: x1, y1, x2, y2 in pixels, within the picture, of some area.
    mask: None where the object is only a box.
    polygons: the outlines that the mask was drawn by, if they were; they cover the mask's pixels. Outlines
        along the edges of pixels are not kept: they follow from the mask.
    """

    id: str
    label: str
    source: Source
    score: float | None
    verified: bool
    box: Box
    mask: Mask | None = None
    polygons: Polygons | None = None

    def is_like(self, said: "Annotation") -> bool:
        """Return whether it is the same object in the same place; a mask that is missing is taken for it."""
        if self.mask is not None and (said.mask is None or not _same_pixels(self.mask, said.mask)):
            return False
        return (self.label, self.box) == (said.label, said.box)


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
        _require(_is_side(self.width), "width", "must be a whole number from 1 on")
        _require(_is_side(self.height), "height", "must be a whole number from 1 on")
        _require(self.width * self.height <= MOST_PIXELS, "width", "times height must fit into 32 bits")
        _require(len(self.labels) <= MOST_LABELS, "labels", f"has more than {MOST_LABELS:,} entries")
        for number, label in enumerate(self.labels):
            _check_label(label, f"labels[{number}]")
        _require(len(set(self.labels)) == len(self.labels), "labels", "names a class twice")
        _require(len(self.objects) <= MOST_OBJECTS, "objects", f"has more than {MOST_OBJECTS:,} entries")
        known, ids = set(self.labels), set[str]()
        for number, one in enumerate(self.objects):
            field = f"objects[{number}]"
            _require(one.id not in ids, f"{field}.id", "is that of another object, too")
            ids.add(one.id)
            _require(one.label in known, f"{field}.label", "is not among the labels")
            self._check(one, field)

    def _check(self, one: Annotation, field: str) -> None:
        plain = 0 < len(one.id) <= _LONGEST_ID and one.id.isascii() and one.id.isprintable()
        _require(plain, f"{field}.id", f"must have 1 to {_LONGEST_ID} printable ASCII characters")
        _require(one.score is None or 0 <= one.score <= 1, f"{field}.score", "must lie in 0..1")
        x1, y1, x2, y2 = one.box
        _require(all(map(math.isfinite, one.box)), f"{field}.box", "must be finite numbers")
        _require(x1 < x2 and y1 < y2, f"{field}.box", "must be x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        inside = x1 >= 0 and y1 >= 0 and x2 <= self.width and y2 <= self.height
        _require(
            inside, f"{field}.box", f"must lie within the picture of {self.width} x {self.height} pixels"
        )
        mask = one.mask
        if mask is not None:
            fits = mask.x + mask.width <= self.width and mask.y + mask.height <= self.height
            _require(fits, f"{field}.mask", "must lie within the picture")

    @classmethod
    def from_detections(cls, found: Detections) -> Self:
        """Return what a model said as annotations that nobody has looked at.

        A box that has no area, since what it marks lies beyond the picture, is none here.
        """
        objects = []
        for number, one in enumerate(found):
            x1, y1, x2, y2 = box = _rounded(one.box)
            if x1 < x2 and y1 < y2:
                score = round(one.score, _SCORE_DIGITS)
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
            _require(one.score in {None, score}, f"{field}.score", f"must be the model's, {score}, or null")
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
        form = _fields(document, "", ("version", "width", "height"), {"verified", "labels", "objects"})
        _require(form["version"] == JSON_VERSION, "version", f"must be {JSON_VERSION}")
        for name, wanted in zip(("width", "height"), size or (None, None), strict=True):
            _require(_is_side(form[name]), name, "must be a whole number from 1 on")
            _require(wanted in {None, form[name]}, name, f"must be the picture's, {wanted}")
        labels = _list(form.get("labels", []), "labels")
        _require(len(labels) <= MOST_LABELS, "labels", f"has more than {MOST_LABELS:,} entries")
        for number, label in enumerate(labels):
            _check_label(label, f"labels[{number}]")
        _require(len(set(labels)) == len(labels), "labels", "names a class twice")
        entries = _list(form.get("objects", []), "objects")
        _require(len(entries) <= MOST_OBJECTS, "objects", f"has more than {MOST_OBJECTS:,} entries")
        reader = _Reader(form["width"], form["height"])
        objects = tuple(reader.read(entry, f"objects[{number}]") for number, entry in enumerate(entries))
        used = tuple(dict.fromkeys([*labels, *(one.label for one in objects)]))
        verified = _bool(form.get("verified", False), "verified")
        return cls(form["width"], form["height"], objects, used, verified)


class _Reader:
    """Reads the objects of one picture."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._columns_left = _MOST_COLUMNS

    def read(self, entry: Any, field: str) -> Annotation:
        """Return one object; raises AnnotationError."""
        form = _fields(entry, field, ("id", "label"), _OPTIONAL)
        _require(isinstance(form["id"], str), f"{field}.id", "must be a text")
        _check_label(form["label"], f"{field}.label")
        source = form.get("source", "person")
        _require(source in get_args(Source), f"{field}.source", "must be model or person")
        score = form.get("score")
        _require(score is None or _is_number(score), f"{field}.score", "must be a number, or null")
        mask = self._mask(form, field)
        return Annotation(
            form["id"],
            form["label"],
            source,
            None if score is None else round(float(score), _SCORE_DIGITS),
            _bool(form.get("verified", False), f"{field}.verified"),
            self._box(form.get("box"), mask, f"{field}.box"),
            mask,
            None if mask is None or follow_pixels(form.get("polygons") or []) else form["polygons"],
        )

    def _mask(self, form: Mapping[str, Any], field: str) -> Mask | None:
        polygons, rle = form.get("polygons"), form.get("mask")
        name = f"{field}.mask" if polygons is None else f"{field}.polygons"
        try:
            if polygons is not None:
                return self._filled(polygons, name)
            if rle is None:
                return None
            if [self._height, self._width] != list(_fields(rle, name, ("size", "counts"))["size"]):
                raise ValueError("its size must be the picture's height and width")
            return Mask.from_rle(rle)
        except AnnotationError:
            raise
        except (ValueError, TypeError) as error:
            raise AnnotationError(name, f"can't be used: {error}") from error

    def _filled(self, polygons: Any, field: str) -> Mask:
        for part in _list(polygons, field):
            for ring in _list(part, field):
                for corner in _list(ring, field):
                    ok = isinstance(corner, list) and len(corner) == 2 and all(map(_is_number, corner))
                    if not ok:
                        raise ValueError("a corner must be x and y in pixels")
                self._columns_left -= columns_of(ring) if ring else 0
                if self._columns_left < 0:
                    raise ValueError("the outlines of the picture's objects are too long together")
        return mask_of(polygons, width=self._width, height=self._height)

    def _box(self, box: Any, mask: Mask | None, field: str) -> Box:
        if box is None and mask is not None:
            box = [mask.x, mask.y, mask.x + mask.width, mask.y + mask.height]
        ok = isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))
        _require(ok, field, "must be four finite numbers, x1, y1, x2, y2")
        return _rounded(box)


def _same_pixels(a: Mask, b: Mask) -> bool:
    """Return whether two cropped masks cover the same pixels."""
    return (a.x, a.y, a.width, a.height) == (b.x, b.y, b.width, b.height) and np.array_equal(
        a.counts, b.counts
    )


def follow_pixels(polygons: Polygons) -> bool:
    """Return whether outlines run along the edges of pixels."""
    rings = [np.array(ring) for part in polygons for ring in part]
    return all(
        ring.dtype.kind == "i" and (ring == np.roll(ring, 1, axis=0)).any(axis=1).all() for ring in rings
    )


def _rounded(box: Sequence[float]) -> Box:
    x1, y1, x2, y2 = (round(float(side), _BOX_DIGITS) for side in box)
    return x1, y1, x2, y2


def _require(holds: bool, field: str, problem: str) -> None:
    if not holds:
        raise AnnotationError(field, problem)


def _fields(
    value: Any, field: str, required: Sequence[str], optional: AbstractSet[str] = frozenset()
) -> dict[str, Any]:
    """Return an object of JSON that has these fields and no others."""
    _require(isinstance(value, dict), field, "must be an object")
    before = f"{field}." if field else ""
    for name in required:
        _require(name in value, f"{before}{name}", "is missing")
    for name in value:
        _require(name in required or name in optional, f"{before}{name[:_LONGEST_ID]}", "is no known field")
    return cast(dict[str, Any], value)


def _list(value: Any, field: str) -> list[Any]:
    _require(isinstance(value, list), field, "must be a list")
    return cast(list[Any], value)


def _bool(value: Any, field: str) -> bool:
    _require(isinstance(value, bool), field, "must be true or false")
    return bool(value)


def _check_label(label: Any, field: str) -> None:
    _require(isinstance(label, str), field, "must be a text")
    if (problem := problem_of(label)) is not None:
        raise AnnotationError(field, problem)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_PIXELS
