"""LabelMe and Label Studio."""

import io
import json
import zipfile
from base64 import b64decode
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageDraw

from flask_detector.formats import FORMATS, dataset
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap

Whole = Callable[[Detections], list[Bitmap]]


def test_labelme_has_a_mask_for_each_object_also_an_empty_one(with_masks: Detections, whole: Whole) -> None:
    form = json.loads(FORMATS["labelme"].write(with_masks, "my flat.jpg"))
    assert (form["imagePath"], form["imageData"], form["imageWidth"], form["imageHeight"]) == (
        "my flat.jpg",
        None,
        64,
        48,
    )
    shapes = [(shape["label"], shape["shape_type"], shape["group_id"]) for shape in form["shapes"]]
    assert shapes == [(label, "mask", None) for label in ("chair", "person", "toothbrush", "car")]
    for shape, expected in zip(form["shapes"], whole(with_masks), strict=True):
        (left, top), (right, bottom) = shape["points"]
        bitmap = np.zeros((48, 64), bool)
        bitmap[top : bottom + 1, left : right + 1] = Image.open(io.BytesIO(b64decode(shape["mask"])))
        np.testing.assert_array_equal(bitmap, expected)
    assert form["shapes"][-1]["points"] == [[30, 30], [32, 31]]


def test_labelme_has_polygons_for_other_programs_and_none_for_an_empty_mask(with_masks: Detections) -> None:
    form = json.loads(FORMATS["labelme-polygons"].write(with_masks, "my flat.jpg"))
    shapes = [(shape["label"], shape["shape_type"], shape["group_id"]) for shape in form["shapes"]]
    assert shapes == [
        ("chair", "polygon", 0),
        ("chair", "polygon", 0),
        *[("person", "polygon", 1)] * 4,
        ("toothbrush", "polygon", None),
    ]
    assert form["shapes"][-1]["points"] == [[60, 45], [64, 45], [64, 48], [60, 48]]


@pytest.mark.parametrize("name", ["labelme", "labelme-polygons"])
def test_labelme_has_rectangles_of_what_a_model_for_boxes_found(boxes_only: Detections, name: str) -> None:
    form = json.loads(FORMATS[name].write(boxes_only, "a.jpg"))
    assert [shape["shape_type"] for shape in form["shapes"]] == ["rectangle"] * 4
    assert form["shapes"][-1]["points"] == [[30.0, 30.0], [33.0, 32.0]]


def test_label_studio_has_percents_and_a_region_for_each_part(
    with_masks: Detections, whole: Callable[[Detections], list[Bitmap]]
) -> None:
    (task,) = json.loads(FORMATS["label-studio"].write(with_masks, "my flat.jpg"))
    assert task["data"] == {"image": "my flat.jpg"}
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "a-model"
    regions = prediction["result"]
    assert [region["type"] for region in regions] == ["polygonlabels"] * 7 + ["rectanglelabels"]
    assert [region["meta"]["object"] for region in regions[:3]] == [["1"], ["1"], ["2"]]
    assert len({region["id"] for region in regions}) == len(regions)
    assert regions[-1]["value"] == {
        "x": 46.875,
        "y": 62.5,
        "width": 4.6875,
        "height": 4.166667,
        "rotation": 0,
        "rectanglelabels": ["car"],
    }
    # Filled at a hundred times the size, where the line that Pillow draws around is thin.
    canvas = Image.new("1", (6400, 4800))
    for region in regions[2:6]:
        corners = [(x * 64, y * 48) for x, y in region["value"]["points"]]
        ImageDraw.Draw(canvas).polygon(corners, fill=1)
    centres = np.asarray(canvas)[50::100, 50::100]
    np.testing.assert_array_equal(centres, whole(with_masks)[1])


def test_a_label_studio_data_set_has_its_labelling_interface(boxes_only: Detections) -> None:
    archive = zipfile.ZipFile(io.BytesIO(dataset.write("label-studio", [("a b.jpg", boxes_only, b"x")])))
    view = ElementTree.fromstring(archive.read("label_config.xml"))
    assert [label.get("value") for label in view.findall("RectangleLabels/Label")] == list(boxes_only.labels)
    tasks = json.loads(archive.read("tasks.json"))
    assert [task["data"]["image"] for task in tasks] == ["images/a b.jpg"]


def test_nothing_found_is_a_task_without_regions(nothing: Detections) -> None:
    (task,) = json.loads(FORMATS["label-studio"].write(nothing, "a.jpg"))
    assert task["predictions"] == [{"model_version": "a-model", "result": []}]
    assert json.loads(FORMATS["labelme"].write(nothing, "a.jpg"))["shapes"] == []
