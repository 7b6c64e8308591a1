"""The pictures to learn from, with what is marked in them, as a run keeps them in its folder."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from flask_detector.atomic_files import write_whole
from flask_detector.imaging.pixels import Picture
from flask_detector.structures.boxes import Floats, Ints
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask, compress_counts, decompress_counts

Masks = tuple[Mask | None, ...]

# From this IoU on the base model and a person mean the same object.
SAME_OBJECT_IOU: Final = 0.5

_FILE: Final = "examples.json"


@dataclass(frozen=True, eq=False)
class Found:
    """What a model finds in a picture: boxes (N, 4), xyxy, in its pixels, scores (N,), N labels and N masks.

    masks: None of a model that finds none.
    """

    boxes: Floats
    scores: Floats
    labels: list[str]
    masks: Masks | None = None

    @classmethod
    def of(cls, found: Detections) -> Self:
        """Return what detections say."""
        return cls(found.boxes, found.scores, [found.labels[n] for n in found.class_ids], found.masks)


@dataclass(frozen=True, eq=False)
class Example:
    """A picture with its objects of the taught classes.

    file: its pixels as the network sees them.
    width, height: of the picture.
    boxes: (M, 4), xyxy, in its pixels. class_ids: (M,).
    is_certain: (M,) whether that object is there; where not, it may be.
    found: what the base model finds.
    split: "train", "val" or "test" where the data set says it.
    fingerprint: (64,) bools, nearly the same for pictures that look the same.
    masks: of the M objects, None of one that is only a box; empty where the base has no masks.
    """

    name: str
    file: Path
    width: int
    height: int
    boxes: Floats
    class_ids: Ints
    is_certain: npt.NDArray[np.bool_]
    found: Found
    split: str | None
    fingerprint: npt.NDArray[np.bool_]
    masks: Masks = ()

    @cached_property
    def small_masks(self) -> list[npt.NDArray[np.bool_] | None]:
        """The objects' masks (H, W) in pixels of what the network sees."""
        height, width = self.pixels().shape[:2]
        return [None if mask is None else _sampled(mask, self, width, height) for mask in self.masks]

    def pixels(self) -> Picture:
        """Return the picture (H, W, 3) as the network sees it, read from its file."""
        picture: Picture = np.load(self.file, mmap_mode="r")
        return picture

    def to_json(self) -> dict[str, Any]:
        """Return everything but the pixels as plain containers."""
        found = self.found
        return {
            "name": self.name,
            "file": self.file.name,
            "size": [self.width, self.height],
            "boxes": self.boxes.tolist(),
            "class_ids": self.class_ids.tolist(),
            "is_certain": self.is_certain.tolist(),
            "found": [found.boxes.tolist(), found.scores.tolist(), found.labels],
            "masks": [None if mask is None else _written(mask) for mask in self.masks],
            "found_masks": None if found.masks is None else [_written(mask) for mask in found.masks if mask],
            "split": self.split,
            "fingerprint": self.fingerprint.tolist(),
        }

    @classmethod
    def from_json(cls, form: dict[str, Any], folder: Path) -> Self:
        """Return the example whose pixels lie in that folder."""
        boxes, scores, labels = form["found"]
        return cls(
            form["name"],
            folder / form["file"],
            form["size"][0],
            form["size"][1],
            boxes_of(form["boxes"]),
            np.array(form["class_ids"], np.int64),
            np.array(form["is_certain"], bool),
            Found(
                boxes_of(boxes),
                np.array(scores, np.float32),
                labels,
                None if form["found_masks"] is None else tuple(map(_read, form["found_masks"])),
            ),
            form["split"],
            np.array(form["fingerprint"], bool),
            tuple(None if mask is None else _read(mask) for mask in form["masks"]),
        )


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All pictures, and what they teach.

    classes: by class id.
    replaces: by taught class, which classes of the base model it stands for.
    version: tells this state of the data set from others.
    remarks: what was not as it should be, for people.
    min_score: from which on the base model is sure.
    """

    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    replaces: dict[str, list[str]]
    version: str
    remarks: tuple[str, ...]
    min_score: float

    def save(self, folder: Path) -> None:
        """Write everything but the pixels; `load` returns it."""
        form = {
            "classes": self.classes,
            "examples": [example.to_json() for example in self.examples],
            "replaces": self.replaces,
            "version": self.version,
            "remarks": self.remarks,
            "min_score": self.min_score,
        }
        write_whole(folder / _FILE, json.dumps(form).encode())

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Return what was saved in a folder, None where nothing was, or by an earlier version."""
        try:
            form = json.loads((folder / _FILE).read_bytes())
            return cls(
                tuple(form["classes"]),
                tuple(Example.from_json(one, folder) for one in form["examples"]),
                form["replaces"],
                form["version"],
                tuple(form["remarks"]),
                form["min_score"],
            )
        except (OSError, ValueError, KeyError):
            return None


def boxes_of(boxes: Any) -> Floats:
    """Return boxes as an array (N, 4), also where there are none."""
    return np.array(boxes, np.float32).reshape(-1, 4)


def _sampled(mask: Mask, example: Example, width: int, height: int) -> npt.NDArray[np.bool_]:
    """Return a mask (height, width) of the picture made so small: of each new pixel, its centre."""
    small = np.zeros((height, width), bool)
    rows, columns = (
        np.floor((np.arange(new) + 0.5) * old / new - start).astype(np.int64)
        for new, old, start in ((height, example.height, mask.y), (width, example.width, mask.x))
    )
    down, across = (rows >= 0) & (rows < mask.height), (columns >= 0) & (columns < mask.width)
    small[np.ix_(down, across)] = mask.bitmap()[np.ix_(rows[down], columns[across])]
    return small


def _written(mask: Mask) -> list[Any]:
    return [mask.x, mask.y, mask.width, mask.height, compress_counts(mask.counts)]


def _read(written: list[Any]) -> Mask:
    x, y, width, height, counts = written
    return Mask(x, y, width, height, decompress_counts(counts).astype(np.uint32))
