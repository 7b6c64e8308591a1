"""A small data set to teach with: rectangles of two colours, two classes; and a run that is done."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from flask.testing import FlaskClient
from PIL import Image

from flask_detector.jobs.workers import WorkerInfo
from flask_detector.web.core.service import Service
from flask_detector.worker.attempts import Attempts
from tests.support import datasets
from tests.support.collected import add_picture, collection_of

COLOURS = {"brick": (200, 40, 30), "tile": (30, 60, 210)}


def picture(seed: int, *, with_objects: bool = True) -> tuple[bytes, list[tuple[str, list[int]]]]:
    """Return a picture of 160x120 as PNG, and its objects with x, y, width and height."""
    random = np.random.default_rng(seed)
    pixels = random.integers(90, 140, (120, 160, 3), dtype=np.uint8)
    objects = []
    for number, (label, colour) in enumerate(COLOURS.items()):
        x, y, side = 10 + 75 * number + int(random.integers(0, 15)), int(random.integers(5, 50)), 50
        if with_objects:
            pixels[y : y + side, x : x + side] = colour
            objects.append((label, [x, y, side, side]))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue(), objects


def coco(
    folder: Path,
    count: int,
    *,
    first: int = 0,
    files: dict[str, Any] | None = None,
    outlined: bool = False,
) -> Path:
    """Write a data set of so many pictures, with other files in the place of its own; return the folder.

    outlined: with masks as well.
    """
    names = list(COLOURS)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    written = {}
    for id in range(first, first + count):
        data, objects = picture(id)
        images.append({"id": id, "file_name": f"{id}.png", "width": 160, "height": 120})
        written[f"images/{id}.png"] = data
        for label, box in objects:
            annotation: dict[str, Any] = {"id": len(annotations) + 1, "image_id": id}
            annotation["category_id"] = names.index(label) + 1
            x, y, width, height = box
            ring = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotation |= {"segmentation": [ring]} if outlined else {}
            annotations.append(annotation | {"bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    categories = [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    form = {"images": images, "annotations": annotations, "categories": categories}
    return datasets.folder(folder, {**written, "instances.json": form, **(files or {})})


TEACHES = WorkerInfo("w", False, "", frozenset(), "detections", teaches=True)
"""A worker that can teach."""

_FIGURES = {"ap": 0.5, "ap50": 0.75, "precision": None, "recall": 1.0}
CARD = {
    "name": "walls", "pair": "nanodet-g-with-walls", "base": "nanodet-g", "classes": ["brick"],
    "replaces": {"brick": ["book"]}, "training": 3, "validation": 1, "folds": 1, "objects": {"brick": [3, 1]},
    "version": "0123456789ab", "seconds": 125.0, "steps": 250, "memory": 1.2e9, "hardware": "2 cores",
    "min_score": 0.35, "before": {"brick": _FIGURES, "": _FIGURES},
    "after": {"brick": _FIGURES, "": _FIGURES},
    "worst": {}, "remarks": ["This looks wrong: 1.png: a box of brick is very narrow, 3x90 pixels."],
}  # fmt: skip
PROOF = {
    "name": "0.png", "width": 160, "height": 120, "mistakes": 1,
    "marked": [{"label": "brick", "box": [10, 10, 60, 60]}], "before": [],
    "after": [{"label": "<b>", "score": 0.5, "box": [10, 10, 60, 60], "mask": "M5 5L9 5L9 9z"}],
}  # fmt: skip


def walls(client: FlaskClient) -> str:
    """Make a collection of four pictures, one of them verified and one for validation; return its id."""
    path = collection_of(client, "Walls & roofs")
    for number in range(4):
        data, objects = picture(number)
        marked = [
            {"id": f"p{n}", "label": label, "box": [x, y, x + width, y + height]}
            for n, (label, (x, y, width, height)) in enumerate(objects)
        ]
        document = {"version": 1, "width": 160, "height": 120, "objects": marked, "verified": number == 1}
        split = "val" if number == 0 else "train"
        add_picture(client, path, data, f"{number}.png", annotations=json.dumps(document), split=split)
    return path.rpartition("/")[2]


def finish(service: Service, *, model: bytes | None = None, has_report: bool = True) -> str:
    """End the next run as the process that teaches does; return its id."""
    attempts = Attempts(service.lessons.queue, worker="", location="here")
    attempt = attempts.take()
    assert attempt is not None
    run = service.lessons.find(attempt.job.id)
    if model is not None:
        service.storage.write(f"{run.path}/model.safetensors", io.BytesIO(model))
    if has_report:
        pictures = {one.file_name: one.id for one in service.pictures.entries(run.request.collection)}
        report = json.dumps({"card": CARD, "proof": [PROOF], "pictures": pictures})
        service.storage.write(f"{run.path}/report.json", io.BytesIO(report.encode()))
    assert attempts.finish(attempt, {})
    return run.id
