"""Masks that a format could get wrong: of one pixel, at the borders, of many parts, with many holes."""

import base64
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from PIL import Image
from pycocotools import mask as coco_mask
from shapely.geometry import shape

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.formats import FORMATS
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap, Mask

WIDTH, HEIGHT = 64, 48

# pycocotools 2.0.11 is older than NumPy 2's __array__.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


def _whole(*, rows: slice = slice(None), columns: slice = slice(None), inverted: bool = False) -> Bitmap:
    bitmap = np.zeros((HEIGHT, WIDTH), bool)
    bitmap[rows, columns] = True
    return ~bitmap if inverted else bitmap


CASES: dict[str, Bitmap] = {
    "a pixel at the first corner": _whole(rows=slice(1), columns=slice(1)),
    "a pixel at the last corner": _whole(rows=slice(47, 48), columns=slice(63, 64)),
    "all of the picture": _whole(),
    "the border of the picture": _whole(rows=slice(1, 47), columns=slice(1, 63), inverted=True),
    "a row": _whole(rows=slice(20, 21)),
    "a column": _whole(columns=slice(30, 31)),
    "every second row": _whole(rows=slice(0, 48, 2)),
    "a checkerboard": np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 == 0,
    "a diagonal": np.eye(HEIGHT, WIDTH, dtype=bool),
    "noise": np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.5,
}


def _found(bitmap: Bitmap) -> Detections:
    return Detections(
        width=WIDTH,
        height=HEIGHT,
        boxes=np.array([[0, 0, WIDTH, HEIGHT]], np.float32),
        scores=np.array([0.9], np.float32),
        class_ids=np.array([0]),
        labels=COCO_LABELS,
        model="a-model",
        masks=(Mask.from_bitmap(bitmap),),
    )


@pytest.mark.parametrize("case", CASES)
def test_each_format_gives_a_hard_mask_back(case: str) -> None:
    bitmap = CASES[case]
    found = _found(bitmap)
    for name, read in READERS.items():
        np.testing.assert_array_equal(read(FORMATS[name].write(found, "a.png")), bitmap, err_msg=name)


def _from_json(data: bytes) -> Bitmap:
    return _decoded(json.loads(data)["instances"][0]["mask"])


def _from_coco(data: bytes) -> Bitmap:
    segmentation = json.loads(data)["annotations"][0]["segmentation"]
    encoded = coco_mask.frPyObjects(segmentation, HEIGHT, WIDTH)
    return _decoded(coco_mask.merge(encoded) if isinstance(segmentation, list) else encoded)


def _from_results(data: bytes) -> Bitmap:
    return _decoded(json.loads(data)[0]["segmentation"])


def _decoded(rle: object) -> Bitmap:
    bitmap: Bitmap = coco_mask.decode(rle).astype(bool)
    return bitmap


def _from_labelme(data: bytes) -> Bitmap:
    (form,) = json.loads(data)["shapes"]
    (left, top), (right, bottom) = form["points"]
    bitmap = np.zeros((HEIGHT, WIDTH), bool)
    with Image.open(io.BytesIO(base64.b64decode(form["mask"]))) as image:
        bitmap[top : bottom + 1, left : right + 1] = np.asarray(image)
    return bitmap


def _from_cvat(data: bytes) -> Bitmap:
    mask = ElementTree.fromstring(data).find("image/mask")
    assert mask is not None
    left, top, width, height = (int(mask.attrib[name]) for name in ("left", "top", "width", "height"))
    runs = [int(run) for run in mask.attrib["rle"].split(",")]
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    bitmap = np.zeros((HEIGHT, WIDTH), bool)
    bitmap[top : top + height, left : left + width] = values.reshape(height, width)
    return bitmap


def _from_geojson(data: bytes) -> Bitmap:
    (feature,) = json.loads(data)["features"]
    polygons = shape(feature["geometry"])
    assert polygons.is_valid
    assert tuple(feature["bbox"]) == polygons.bounds
    centres = shapely.points(np.mgrid[:WIDTH, :HEIGHT].reshape(2, -1).T + 0.5)
    bitmap: Bitmap = shapely.contains(polygons, centres).reshape(WIDTH, HEIGHT).T
    return bitmap


READERS = {
    "json": _from_json,
    "coco": _from_coco,
    "coco-rle": _from_coco,
    "coco-results": _from_results,
    "labelme": _from_labelme,
    "cvat": _from_cvat,
    "geojson": _from_geojson,
}
