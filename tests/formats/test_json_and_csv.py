import csv
import io
import json

import numpy as np
import pytest

from flask_detector.formats import FORMATS
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask


@pytest.fixture
def found() -> Detections:
    return Detections(
        width=100,
        height=50,
        boxes=np.array([[1.5, 2, 30, 40], [0, 0, 100, 50]], np.float32),
        scores=np.array([0.9, 0.25], np.float32),
        class_ids=np.array([1, 0]),
        labels=("bicycle, old", "chair"),
        model="a-model",
    )


def test_json_is_the_documented_form_with_the_files_name(found: Detections) -> None:
    form = json.loads(FORMATS["json"].write(found, "my flat.jpg"))
    assert form["file"] == "my flat.jpg"
    assert Detections.from_json(form).to_json() == found.to_json()


def test_csv_has_a_line_for_each_instance(found: Detections) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(found, "my flat.jpg").decode(), newline="")))
    assert [row["label"] for row in rows] == ["chair", "bicycle, old"]
    assert (rows[0]["file"], rows[0]["score"], rows[0]["x1"], rows[0]["area"]) == (
        "my flat.jpg",
        "0.9",
        "1.5",
        "1083",
    )


def test_csv_gives_the_masks_area_where_there_is_one(found: Detections) -> None:
    masks = (Mask.from_bitmap(np.ones((3, 4), bool), x=2, y=2), Mask.from_bitmap(np.ones((5, 5), bool)))
    with_masks = Detections(**{**vars(found), "masks": masks})
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(with_masks, "a.jpg").decode(), newline="")))
    assert [row["area"] for row in rows] == ["12", "25"]


def test_csv_holds_no_formula(found: Detections) -> None:
    assert b"'=cmd" in FORMATS["csv"].write(found, "=cmd|' /C calc'!A0.jpg")


def test_nothing_found_is_a_header_alone(found: Detections) -> None:
    assert FORMATS["csv"].write(found.over(1.0), "a.jpg").decode().splitlines() == [
        "file,label,score,x1,y1,x2,y2,area,source,verified"
    ]
