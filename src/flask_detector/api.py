"""The Python API: a detector that takes a picture in any form, and detections that draw and save themselves.

The server does without it: a worker has an array already and draws nothing, and what draws has the picture.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from flask_detector import detectors
from flask_detector.detectors.base import Detector, OnStage
from flask_detector.errors import DetectorError
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Pixels
from flask_detector.settings import Settings
from flask_detector.structures import detections as structures

if TYPE_CHECKING:
    import supervision

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[np.uint8]


def load_detector(name: str = detectors.AUTO, *, settings: Settings | None = None) -> "PictureDetector":
    """Return a loaded model, converted first if need be.

    name: of a model, 'flask-detector models' lists them; `auto` for the best one that is installed.
    settings: in place of those of the environment.

    Raises UnknownModel, ModelNotInstalled and CheckpointError.

    >>> from flask_detector import load_detector
    >>> load_detector("nanodet-g")
    <detector nanodet-g: 80 classes, boxes>
    """
    settings = settings or Settings.from_environment()
    limits = Limits.of(settings)
    return PictureDetector(detectors.load_detector(name, settings=settings), limits)


class PictureDetector:
    """A loaded model: give it one picture after another, from any thread.

    >>> from flask_detector import load_detector
    >>> detector = load_detector("nanodet-g")
    >>> detector.name, detector.labels[:2], detector.has_masks, detector.default_min_score
    ('nanodet-g', ('person', 'bicycle'), False, 0.35)
    >>> detector.detect("street.jpg", min_score=0.5)
    <Detections: 4 cars, 3 persons (nanodet-g, 1200x726)>
    """

    def __init__(self, detector: Detector, limits: Limits) -> None:
        self._detector = detector
        self._limits = limits

    def __repr__(self) -> str:
        return f"<detector {self.name}: {len(self.labels)} classes, {'masks' if self.has_masks else 'boxes'}>"

    @property
    def name(self) -> str:
        """The model's name in the table of models."""
        return self._detector.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, by class id."""
        return self._detector.labels

    @property
    def has_masks(self) -> bool:
        """Whether its detections have masks."""
        return self._detector.has_masks

    @property
    def default_min_score(self) -> float:
        """The minimum score that is usually shown, as a number in 0..1."""
        return self._detector.default_min_score

    def detect(
        self, picture: Source, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> "Detections":
        """Return what is found in a picture; it remembers where the picture is, for `draw`.

        picture: a path, the bytes of a file, an open binary file, a Pillow image, or an array (H, W, 3), RGB,
        uint8. What comes as a file is turned upright by its EXIF orientation.
        min_score: the lowest score to keep, in 0..1; None for the model's default.
        on_stage: called with the name of each stage as it begins.

        Raises PictureError when it can't be used, OSError when the file can't be read, TypeError when it is
        of another kind, and BadParameter when min_score is not in 0..1.
        """
        start = time.perf_counter()
        read = reader_of(picture, self._limits)
        pixels = read(self._detector.max_side)
        decoded = time.perf_counter()
        found = self._detector.detect(pixels, min_score=min_score, on_stage=on_stage)
        timings = {"decode": decoded - start, **found.timings}
        given = vars(found) | {"picture": lambda: read(None).array(), "timings": timings}
        return Detections(**given)


@dataclass(frozen=True, eq=False, repr=False)
class Detections(structures.Detections):
    """The objects found in one picture, best score first; they can draw, save and convert themselves.

    width, height: the picture's size in pixels, upright.
    boxes: (N, 4) float32, x1, y1, x2, y2 in pixels of that picture and clipped to it.
    scores: (N,) float32 in 0..1, descending.
    class_ids: (N,) int64, each an index into `labels`.
    labels: the names of all classes that the model knows.
    model: the name of the model that found them.
    masks: None for a model of boxes alone, else a Mask for each instance, in the same order.
    timings: seconds by stage, in the order of the stages, which follow one another.
    picture: reads the pixels of the picture (H, W, 3), RGB, uint8, again where they can be had, for `draw`.

    Raises ValueError when an array's shape or values break one of these rules.

    >>> from flask_detector import load_detector
    >>> found = load_detector("nanodet-g").detect("street.jpg", min_score=0.5)
    >>> found.counts()
    {'car': 4, 'person': 3}
    >>> found.boxes.shape, found.scores.shape, found.class_ids.tolist()
    ((7, 4), (7,), [2, 2, 2, 2, 0, 0, 0])
    >>> best = next(iter(found))
    >>> best.label, round(best.score, 1), [round(side, -1) for side in best.box]
    ('car', 0.8, [240.0, 500.0, 330.0, 570.0])
    >>> found.only(["car"]).over(0.75)
    <Detections: 2 cars (nanodet-g, 1200x726)>
    >>> found.draw().size
    (1200, 726)
    >>> found.save("drawn.png")
    >>> found.save("found.json", format="labelme")
    >>> Detections.from_json(found.to_json())
    <Detections: 4 cars, 3 persons (nanodet-g, 1200x726)>
    >>> found.to_coco(image_id=7)[0]["category_id"]
    3
    """

    picture: Callable[[], npt.NDArray[np.uint8]] | None = None

    def to_coco(self, *, image_id: int = 1) -> list[dict[str, Any]]:
        """Return COCO's results format, an entry for each instance; docs/formats.md tells of the ids."""
        from flask_detector.formats import coco

        return coco.results(self, image_id=image_id)

    def to_supervision(self) -> "supervision.Detections":
        """Return a `supervision.Detections`; needs that package, the extra of the same name.

        Its masks are a byte for each pixel of the picture and instance. Raises ImportError that says what to
        install.
        """
        from flask_detector.formats.supervision import to_supervision

        return to_supervision(self)

    def draw(
        self,
        picture: npt.NDArray[np.uint8] | None = None,
        *,
        show_boxes: bool = True,
        show_labels: bool = True,
        show_masks: bool = True,
    ) -> Image.Image:
        """Return a new picture with the detections drawn over it.

        picture: (H, W, 3), RGB, uint8, upright; None for the one that was detected in, which is read again.

        Raises ValueError where there is no picture, or it is of another size.
        """
        from flask_detector.visualization import annotate

        if picture is None:
            if self.picture is None:
                raise ValueError("these detections came without their picture: give it")
            picture = self.picture()
        shown = {"show_boxes": show_boxes, "show_labels": show_labels, "show_masks": show_masks}
        return Image.fromarray(annotate.draw(picture, self, **shown))

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Write a file: the drawn picture where the path ends in a picture's suffix, else an export.

        format: a name of `flask_detector.formats.FORMATS`; None to tell by the suffix (.json, .csv, .xml,
        .geojson).

        Raises ValueError where it can't be told what to write, and what `draw` raises.
        """
        from flask_detector.formats.save import save

        save(self, path, format, draw=lambda: np.asarray(self.draw()))

    def _repr_html_(self) -> str:
        from flask_detector.visualization.notebook import html_of

        try:
            drawn = self.draw()
        except (DetectorError, OSError, ValueError):
            drawn = None
        return html_of(self, drawn)


def reader_of(picture: Source, limits: Limits) -> Callable[[int | None], Pixels]:
    """Return a function that gives the pixels, each time anew; only what it was given is kept in between.

    It takes how many pixels along the long side are needed, None for all of them, as `decode.load` does.

    Raises TypeError where the picture is of none of these kinds.
    """
    match picture:
        case str() | os.PathLike():
            path = Path(picture).absolute()
            return lambda max_side: decode.load(path.read_bytes(), limits, max_side=max_side)[0]
        case bytes():
            return lambda max_side: decode.load(picture, limits, max_side=max_side)[0]
        case Image.Image():
            return lambda _: Pixels(picture)
        case np.ndarray():
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
                raise TypeError(
                    f"The array is {picture.dtype} of shape {picture.shape}; "
                    "it must be uint8, (height, width, 3), RGB."
                )
            return lambda _: Pixels.of(np.ascontiguousarray(picture))
    if not hasattr(picture, "read"):
        raise TypeError(
            f"{type(picture).__name__} is not a kind of picture: give a path, bytes, an open binary file, "
            "a Pillow image, or an array (H, W, 3) of uint8."
        )
    content = picture.read()
    if not isinstance(content, bytes):
        raise TypeError("The file is open as text; open it with mode 'rb'.")
    return lambda max_side: decode.load(content, limits, max_side=max_side)[0]
