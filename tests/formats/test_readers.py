"""The programs of the field open our exports, in the environment that `make .venv/.readers` sets up."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flask_detector.formats import dataset
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap
from tests.support.readers import READERS, read

pytestmark = READERS

Whole = Callable[[Detections], list[Bitmap]]


@pytest.fixture
def unpacked(
    with_masks: Detections, boxes_only: Detections, nothing: Detections, jpeg: bytes, tmp_path: Path
) -> Callable[[str], Path]:
    """A function that unpacks the data set of a format, with a picture of each kind, all 64 by 48."""

    def unpack(name: str) -> Path:
        # VOC's list of classes has no way to write a colon.
        labels = tuple(label.replace(":", ";") for label in boxes_only.labels)
        garden = replace(boxes_only, labels=labels) if name == "voc" else boxes_only
        items: list[dataset.Item] = [
            ("my flat.jpg", with_masks, jpeg),
            ("garden & <pond>.jpg", garden, jpeg),
            ("nothing.jpg", nothing, jpeg),
        ]
        zipfile.ZipFile(io.BytesIO(dataset.write(name, items))).extractall(tmp_path / name)
        return tmp_path / name

    return unpack


def points_of(bitmap: Bitmap) -> list[list[int]]:
    points: list[list[int]] = np.argwhere(bitmap).tolist()
    return points


def test_supervision_opens_the_data_sets(
    unpacked: Callable[[str], Path], with_masks: Detections, boxes_only: Detections, whole: Whole
) -> None:
    names = ["coco", "coco-rle", "voc", "yolo", "yolo-seg"]
    opened = read("read_with_supervision", *(word for name in names for word in (name, unpacked(name))))
    for name in names:
        assert opened[name]["nothing.jpg"]["labels"] == []
        labels = [label.replace(":", ";" if name == "voc" else ":") for label in boxes_only.labels]
        assert opened[name]["garden & _pond_.jpg"]["labels"] == labels
        flat = opened[name]["my flat.jpg"]
        # The car's mask is empty: it has no polygon.
        cars = [] if name in {"coco", "yolo-seg"} else ["car"]
        assert (flat["size"], flat["labels"]) == ([48, 64], ["chair", "person", "toothbrush", *cars])
    for name in ("coco", "coco-rle", "yolo"):
        boxes = opened[name]["my flat.jpg"]["boxes"]
        np.testing.assert_allclose(boxes, with_masks.boxes[: len(boxes)], atol=1e-4)
    assert opened["voc"]["my flat.jpg"]["boxes"] == [
        [1, 2, 8, 7],
        [20, 10, 27, 14],
        [60, 40, 64, 48],
        [30, 30, 33, 32],
    ]
    assert opened["coco-rle"]["my flat.jpg"]["masks"] == [points_of(bitmap) for bitmap in whole(with_masks)]
    for name in ("coco", "yolo-seg"):
        # OpenCV's fillPoly adds the line of the polygon to what is within it.
        masks = opened[name]["my flat.jpg"]["masks"]
        for points, bitmap in zip(masks, whole(with_masks)[:3], strict=True):
            assert {tuple(point) for point in points_of(bitmap)} <= {tuple(point) for point in points}


def test_datumaro_opens_the_data_sets(
    unpacked: Callable[[str], Path], with_masks: Detections, whole: Whole
) -> None:
    folders = {"coco_instances": "coco-rle", "voc": "voc", "yolo": "yolo", "cvat": "cvat"}
    given = ((name, unpacked(folder)) for name, folder in folders.items())
    opened = read("read_with_datumaro", *(word for pair in given for word in pair))
    labels = ["chair", "person", "toothbrush"]
    masks = list(map(points_of, whole(with_masks)[:3]))
    for items in opened.values():
        assert items["nothing"]["boxes"] == []
        assert len(items["garden & _pond_"]["boxes"]) == 4
        assert items["my flat"]["size"] == [48, 64]
    for name in ("coco_instances", "voc", "yolo"):
        assert sorted(box[0] for box in opened[name]["my flat"]["boxes"]) == sorted([*labels, "car"])
    assert opened["cvat"]["my flat"]["boxes"] == [["car", 30, 30, 3, 2]]
    for name in ("cvat", "coco_instances"):
        empty = [["car", []]] if name == "coco_instances" else []
        named = [list(pair) for pair in zip(labels, masks, strict=True)]
        assert sorted(opened[name]["my flat"]["masks"]) == [*empty, *named]


def test_detections_come_back_from_supervision_the_same(
    with_masks: Detections, boxes_only: Detections, nothing: Detections
) -> None:
    forms = [found.to_json() for found in (with_masks, boxes_only, nothing)]
    assert read("round_trip_by_supervision", stdin=json.dumps(forms)) == forms


def test_labelme_opens_each_file_with_its_picture_and_draws_the_masks(
    unpacked: Callable[[str], Path],
    with_masks: Detections,
    boxes_only: Detections,
    jpeg: bytes,
    whole: Whole,
) -> None:
    folder = unpacked("labelme")
    names = ["my flat", "garden & _pond_", "nothing"]
    files = read("read_with_labelme", *(folder / f"{name}.json" for name in names))
    assert [(name, size) for name, size, *_ in files] == [(f"{name}.jpg", len(jpeg)) for name in names]
    flat, garden, nothing = (shapes for _, _, shapes, _ in files)
    assert [shape["shape_type"] for shape in flat] == ["mask"] * 4
    assert files[0][3] == [points_of(bitmap) for bitmap in whole(with_masks)]
    assert [shape["label"] for shape in garden] == list(boxes_only.labels)
    assert nothing == []


def test_label_studio_has_nothing_against_the_predictions(unpacked: Callable[[str], Path]) -> None:
    folder = unpacked("label-studio")
    complaints = read("read_with_label_studio", folder / "label_config.xml", folder / "tasks.json")
    assert complaints == [[], [], []]
