"""Corrected results in each format: what a person has said of an object has its place there."""

import csv
import io
import json
import zipfile
from typing import Any
from xml.etree import ElementTree as ET

from flask_detector.formats import FORMATS, dataset
from flask_detector.structures.detections import Detections


def written(name: str, found: Detections) -> Any:
    return json.loads(FORMATS[name].write(found, "a.jpg"))


def test_json_says_all_of_it_and_is_read_again(corrected: Detections) -> None:
    form = written("json", corrected)
    assert form["corrected"]
    assert [(one["source"], one["verified"], one["model_score"]) for one in form["instances"]] == [
        ("model", True, 0.9),
        ("person", False, None),
        ("person", False, 0.25),
    ]
    assert Detections.from_json(form).to_json() == corrected.to_json()


def test_tables_have_columns_for_it(corrected: Detections, boxes_only: Detections) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(corrected, "a.jpg").decode())))
    assert [(row["source"], row["verified"]) for row in rows] == [
        ("model", "true"),
        ("person", "false"),
        ("person", "false"),
    ]
    row = next(csv.DictReader(io.StringIO(FORMATS["csv"].write(boxes_only, "a.jpg").decode())))
    assert (row["source"], row["verified"]) == ("model", "false")


def test_coco_keeps_its_ids_beside_a_person_s_class(corrected: Detections) -> None:
    for name in ("coco", "coco-rle"):
        form = written(name, corrected)
        assert [one["attributes"] for one in form["annotations"]] == [
            {"source": "model", "verified": True},
            {"source": "person", "verified": False},
            {"source": "person", "verified": False},
        ]
        assert [one["category_id"] for one in form["annotations"]] == [62, 91, 3]
        assert form["categories"][-1]["name"] == "写"
        assert form["annotations"][1]["segmentation"] == [], "a box is not passed off as an outline"


def test_labelling_tools_show_what_a_person_did(corrected: Detections) -> None:
    shapes = list(ET.fromstring(FORMATS["cvat"].write(corrected, "a.jpg")).find("image") or [])
    assert [(shape.tag, shape.get("source")) for shape in shapes] == [
        ("mask", "auto"),
        ("box", "manual"),
        ("box", "manual"),
    ]
    for name in ("labelme", "labelme-polygons"):
        assert [shape["flags"] for shape in written(name, corrected)["shapes"]] == [
            {"person": False, "verified": True},
            {"person": True, "verified": False},
            {"person": True, "verified": False},
        ]
    (task,) = written("label-studio", corrected)
    assert "predictions" not in task
    (annotation,) = task["annotations"]
    assert [region["origin"] for region in annotation["result"]] == [
        "prediction",
        "manual",
        "prediction-changed",
    ]


def test_the_rest_says_what_it_can(corrected: Detections) -> None:
    features = written("geojson", corrected)["features"]
    assert [one["properties"]["source"] for one in features] == ["model", "person", "person"]
    assert b"corrected by a person" in FORMATS["voc"].write(corrected, "a.jpg")
    for name in ("yolo", "yolo-seg"):
        with zipfile.ZipFile(io.BytesIO(FORMATS[name].write(corrected, "a.jpg"))) as archive:
            numbers = [line.split()[0] for line in archive.read("labels/a.txt").decode().splitlines()]
            assert numbers == ["56", "80", "2"]


def test_every_data_set_takes_corrected_pictures_beside_others(
    corrected: Detections, with_masks: Detections
) -> None:
    for name in FORMATS:
        assert dataset.write(name, [("a.jpg", with_masks, b"a"), ("b.jpg", corrected, b"b")])
