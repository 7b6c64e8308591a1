"""A small data set to teach with: rectangles of two colours, which are two classes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support import datasets

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
