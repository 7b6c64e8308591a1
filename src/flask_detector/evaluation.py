"""COCO's average precision of a model, by pycocotools (an extra, imported on use)."""

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.errors import DetectorError
from flask_detector.formats import coco
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture
from flask_detector.structures.detections import Detections

# The numbers of COCOeval.summarize, in its order.
FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


class MissingExtra(DetectorError, hint="Install it: pip install 'flask-detector[evaluate]'"):
    """An optional package is not installed."""


class BadAnnotations(DetectorError, hint="Use a JSON file in the format of COCO's instances_val2017.json."):
    """The annotations can't be used."""


@dataclass(frozen=True)
class Annotations:
    """A COCO data set.

    form: the JSON, with what readers rely on filled in.
    images: its pictures, by ascending id: id, file_name, width, height.
    has_masks: whether each annotation has a segmentation.
    """

    form: dict[str, Any]
    images: list[dict[str, Any]]
    has_masks: bool


@dataclass
class Evaluation:
    """What came out: for "bbox" and, where model and annotations have masks, "segm", the FIGURES in 0..1.

    Figures that nothing counts towards, such as APs without small objects, are None.
    categories: for each of the two the AP of each category by name. categories_at_50: the AP50.
    without_class: categories that the model does not know, which are left out.
    """

    figures: dict[str, dict[str, float | None]] = field(default_factory=dict)
    categories: dict[str, dict[str, float | None]] = field(default_factory=dict)
    categories_at_50: dict[str, dict[str, float | None]] = field(default_factory=dict)
    without_class: list[str] = field(default_factory=list)


def require_pycocotools() -> None:
    """Raise MissingExtra where pycocotools is not installed."""
    try:
        import pycocotools.cocoeval  # noqa: F401  # only whether it can be
    except ImportError as error:
        raise MissingExtra("The package pycocotools is needed to evaluate.") from error


def read_annotations(path: Path) -> Annotations:
    """Return the annotations of a file.

    Raises BadAnnotations where it can't be read, or is in another form.
    """
    try:
        form = json.loads(path.read_bytes())
    except OSError as error:
        raise BadAnnotations(f"{path} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadAnnotations(f"{path} is not JSON.") from error
    try:
        names = [category["name"] for category in form["categories"]]
        pictures = sorted(form["images"], key=lambda image: image["id"])
        for picture in pictures:
            _ = picture["file_name"]
        for annotation in form["annotations"]:
            _ = annotation["image_id"], annotation["category_id"]
            _, _, width, height = annotation["bbox"]
            annotation.setdefault("iscrowd", 0)
            annotation.setdefault("area", width * height)
        has_masks = all(annotation.get("segmentation") for annotation in form["annotations"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnnotations(
            f"{path} is not a COCO data set with images, annotations and categories."
        ) from error
    if not pictures or not names:
        raise BadAnnotations(f"{path} has no images or no categories.")
    return Annotations(form, pictures, has_masks and bool(form["annotations"]))


def find_picture(folder: Path, image: Mapping[str, Any]) -> Path:
    """Return where a picture is: at its whole name within the folder, or else at the name's last part."""
    name = Path(str(image["file_name"]).replace("\\", "/"))
    path = folder / name
    return path if path.exists() else folder / name.name


def detect_in(
    path: Path,
    image: Mapping[str, Any],
    detect: Callable[[Picture], Detections],
    limits: Limits,
) -> Detections:
    """Return what is found in a picture of the annotations.

    Raises DetectorError where it can't be read, or is not of the size that the annotations are for.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DetectorError(f"The file can't be read: {error.strerror}.") from error
    pixels, info = decode.decode(data, limits)
    size = (image.get("width", info.width), image.get("height", info.height))
    if size != (info.width, info.height):
        raise DetectorError(
            f"The picture is {info.width}x{info.height}, but its annotations are for {size[0]}x{size[1]}."
        )
    return detect(pixels)


def category_ids(annotations: Annotations, labels: Iterable[str]) -> dict[str, int]:
    """Return for each label of a model that is a category's name the category's id.

    Capitals, underscores and the number of spaces make no difference.
    Raises BadAnnotations where there is none.
    """
    ids = {_key(category["name"]): category["id"] for category in annotations.form["categories"]}
    known = {label: ids[_key(label)] for label in labels if _key(label) in ids}
    if not known:
        raise BadAnnotations(
            "None of the categories is a class of the model.", hint="Choose the model with --model."
        )
    return known


def evaluate(
    annotations: Annotations, found: Mapping[int, Detections], labels: Sequence[str], *, has_masks: bool
) -> Evaluation:
    """Return the figures for the pictures that were detected in.

    found: by the id of the picture.
    labels: of the model; `category_ids` tells which categories they are.
    has_masks: whether the model finds masks.

    Crowds count as pycocotools counts them: what lies in one is neither right nor wrong.
    Raises BadAnnotations where no category is a class of the model.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ids = category_ids(annotations, labels)
    result = Evaluation(without_class=_without_class(annotations, labels))
    truth = COCO()
    truth.dataset = annotations.form
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        entries = [entry for id, one in found.items() for entry in _entries(id, one, ids)]
        guesses = truth.loadRes(entries) if entries else COCO()
        for kind in ["bbox"] + (["segm"] if has_masks and annotations.has_masks else []):
            evaluation = COCOeval(truth, guesses, kind)
            evaluation.params.imgIds = sorted(found)
            evaluation.params.catIds = sorted(set(ids.values()))
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            result.figures[kind] = dict(zip(FIGURES, map(_figure, evaluation.stats), strict=True))
            result.categories[kind] = _by_category(evaluation, annotations, slice(None))
            result.categories_at_50[kind] = _by_category(evaluation, annotations, slice(1))
    return result


def _key(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())


def _without_class(annotations: Annotations, labels: Iterable[str]) -> list[str]:
    known = {_key(label) for label in labels}
    names = [str(category["name"]) for category in annotations.form["categories"]]
    return [name for name in names if _key(name) not in known]


def _entries(id: int, found: Detections, ids: Mapping[str, int]) -> list[dict[str, Any]]:
    entries = coco.results(found, image_id=id)
    return [
        entry | {"category_id": ids[one.label]}
        for entry, one in zip(entries, found, strict=True)
        if one.label in ids
    ]


def _figure(value: float) -> float | None:
    """Return a figure; pycocotools writes -1 where nothing counts towards it."""
    return None if value < 0 else round(float(value), 6)


def _by_category(evaluation: Any, annotations: Annotations, ious: slice) -> dict[str, float | None]:
    """Return the AP of each category: its mean precision over IoUs and recalls, for objects of all sizes.

    ious: which of 0.50, 0.55, … 0.95.
    """
    names = {category["id"]: str(category["name"]) for category in annotations.form["categories"]}
    precision = evaluation.eval["precision"][ious, :, :, 0, -1]
    result = {}
    for number, id in enumerate(evaluation.params.catIds):
        values = precision[:, :, number]
        values = values[values > -1]
        result[names[id]] = round(float(np.mean(values)), 6) if values.size else None
    return result
