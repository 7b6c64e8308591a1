"""Label Studio's exports are read: JSON, JSON-MIN, brush masks, turned boxes."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.formats.brush_rle import packed
from flask_detector.structures.masks import Mask
from tests.support.datasets import folder, read, said, zipped
from tests.support.pictures import picture

SIZE = {"original_width": 64, "original_height": 48, "image_rotation": 0}
BOX = {"x": 25, "y": 25, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["cat"]}


def region(id: str, value: Any, kind: str = "rectanglelabels", **others: Any) -> dict[str, Any]:
    return {"id": id, "type": kind, "value": value, **SIZE, **others}


def task(*regions: Any, image: str = "/data/upload/1/0123abcd-a.jpg", **others: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"image": image}, "annotations": [{"id": 1, "result": list(regions)}], **others}


def objects(tmp_path: Path, *tasks: Any) -> tuple[list[Any], list[str]]:
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "tasks.json": list(tasks)}))
    return list(pictures["a.jpg"].annotations.objects), said(opened)


def test_each_kind_of_region_becomes_an_object(tmp_path: Path) -> None:
    bitmap = np.zeros((48, 64), bool)
    bitmap[10:20, 5:9] = True
    brush = packed(Mask.from_bitmap(bitmap), width=64, height=48)
    ring = [[25, 25], [50, 25], [50, 50], [25, 50]]
    regions = [
        region("1", BOX),
        region("2", {"points": ring, "polygonlabels": ["dog"], "closed": True}, "polygonlabels"),
        region("3", {"format": "rle", "rle": brush, "brushlabels": ["cat"]}, "brushlabels"),
        region("4", {**BOX, "width": 12.5, "height": 25, "rotation": 90}),
        region("5", {"x": 50, "y": 50, "radiusX": 12.5, "radiusY": 12.5, "ellipselabels": ["cat"]}),
    ]
    found, remarks = objects(tmp_path, task(*regions))
    np.testing.assert_allclose(
        [one.box for one in found],
        [(16, 12, 48, 36), (16, 12, 32, 24), (5, 10, 9, 20), (4, 12, 16, 20), (24, 18, 40, 30)],
        atol=0.01,
    )
    assert [one.label for one in found] == ["cat", "dog", "cat", "cat", "cat"]
    assert [one.mask and one.mask.area for one in found[:4]] == [None, 192, 40, 96]
    assert remarks == [
        "tasks.json, task 7, region 4 was turned; now an outline",
        "tasks.json, task 7, region 5 was an ellipse; now an outline",
    ]


def test_a_label_that_is_a_region_of_its_own_belongs_to_the_shape_of_its_id(tmp_path: Path) -> None:
    shape = {key: value for key, value in BOX.items() if key != "rectanglelabels"}
    regions = [
        region("1", shape, "rectangle"),
        region("1", {**shape, "labels": ["dog", "wolf"]}, "labels"),
        {"type": "relation", "from_id": "1", "to_id": "2"},
        {"id": "c", "type": "choices", "value": {"choices": ["good"]}},
    ]
    found, remarks = objects(tmp_path, task(*regions))
    assert [(one.label, one.box) for one in found] == [("dog", (16, 12, 48, 36))]
    assert remarks == [
        "tasks.json, task 7, region number 3 is relation, which is no area",
        "tasks.json, task 7, region c is choices, which is no area",
        "tasks.json, task 7, region 1 has 2 labels; the first is kept",
    ]


def test_json_min_is_read(tmp_path: Path) -> None:
    about = {"id": 3, "annotator": 1, "annotation_id": 9, "lead_time": 1.5, "created_at": "2026-11-29"}
    entry = {"image": "s3://bucket/a.jpg", **about, "label": [{**BOX, **SIZE}], "quality": "good"}
    found, remarks = objects(tmp_path, entry)
    assert [(one.label, one.box, one.source) for one in found] == [("cat", (16, 12, 48, 36), "person")]
    assert remarks == []


def test_annotations_come_before_predictions_and_the_first_before_others(tmp_path: Path) -> None:
    prediction = {"score": 0.5, "result": [region("p", {**BOX, "rectanglelabels": ["fish"]})]}
    cancelled = {"was_cancelled": True, "result": []}
    one = task(predictions=[prediction])
    one["annotations"] = [cancelled, {"result": [region("1", BOX)]}, {"result": []}]
    found, remarks = objects(tmp_path, one)
    assert [(one.label, one.source) for one in found] == [("cat", "person")]
    assert remarks == ["tasks.json, task 7 has 2 annotations of the picture; the first is read"]
    found, _ = objects(tmp_path, {"data": {"image": "a.jpg"}, "predictions": [prediction]})
    assert [(one.label, one.source, one.score) for one in found] == [("fish", "model", 0.5)]


def test_pictures_are_found_by_each_kind_of_address(tmp_path: Path) -> None:
    addresses = {
        "images/my cat.jpg": "/data/local-files/?d=images%2Fmy%20cat.jpg",
        "b 図.jpg": "https://example.org/x/b%20%E5%9B%B3.jpg?token=1",
        "01234567-c.jpg": "/data/upload/2/01234567-c.jpg",
        "d.jpg": "gs://bucket/folder/d.jpg",
    }
    embedded = f"data:image/jpeg;base64,{base64.b64encode(picture()).decode()}"
    tasks = [task(image=address) for address in [*addresses.values(), embedded, "gone.jpg", "http://["]]
    files = dict.fromkeys(addresses, picture()) | {"export.json": tasks}
    pictures, opened = read(zipped(tmp_path / "set.zip", files))
    assert list(pictures) == [*addresses, "export.json, task 7"]
    assert said(opened) == [
        "export.json, task 7 is for gone.jpg, which is not there",
        "export.json, task 7 is for [, which is not there",
    ]


def test_what_is_broken_is_left_out_and_named(tmp_path: Path) -> None:
    regions = [
        region("good", BOX),
        region("a", {**BOX, "x": "left"}),
        region("b", {**BOX, "rectanglelabels": []}),
        region("c", {"rle": [1, 2, 3], "brushlabels": ["cat"]}),
        region("d", {"rle": "x", "brushlabels": ["cat"]}),
        region("e", {"rle": [300], "brushlabels": ["cat"]}),
        region("f", {"points": [[1, 1]], "polygonlabels": ["cat"]}),
        region("g", True),
        region("h", {"x": 1, "y": 1, "width": 1, "keypointlabels": ["cat"]}, "keypointlabels"),
        region("i", BOX, image_rotation=90),
        region("j", {**BOX, "rotation": None, "width": 0}),
    ]
    found, remarks = objects(tmp_path, task(*regions, "region"), "task")
    assert len(found) == 1
    assert [remark.split(", region ")[1][0] for remark in remarks[:-2]] == list("abcdefghij")
    assert remarks[-2] == "tasks.json, task 7, region number 12 is something, which is no area"
