"""LabelMe's files are read, as LabelMe, X-AnyLabeling and others write them."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.datasets import folder, read, said
from tests.support.pictures import encoded, picture


def labelme(*shapes: Any, **others: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"version": "5.5.0", "flags": {}, "imagePath": "a.jpg", "imageData": None}
    return {**about, "shapes": list(shapes), "imageHeight": 48, "imageWidth": 64, **others}


def shape(kind: Any, points: Any, **others: Any) -> dict[str, Any]:
    return {"label": "cat", "points": points, "shape_type": kind, "group_id": None, **others}


def mask(bitmap: Any) -> str:
    return base64.b64encode(encoded(Image.fromarray(np.array(bitmap, np.uint8)), "PNG")).decode()


def test_each_kind_of_shape_becomes_an_object(tmp_path: Path) -> None:
    shapes = [
        shape("polygon", [[1, 1], [11, 1], [11, 6], [1, 6]]),
        shape("rectangle", [[20, 30], [10, 10.5]]),
        shape("rectangle", [[1, 1], [9, 1], [9, 5], [1, 5]], score=0.75),
        shape("rotation", [[30, 10], [40, 20], [30, 30], [20, 20]], direction=0.78),
        shape("circle", [[50, 24], [50, 34]]),
        shape("mask", [[3, 40], [5, 41]], mask=mask([[1, 0, 1], [0, 1, 0]])),
        {key: value for key, value in shape(None, [[0, 0], [4, 0], [4, 4]]).items() if key != "shape_type"},
    ]
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.json": labelme(*shapes)}))
    found = pictures["a.jpg"].annotations.objects
    assert (opened.format, said(opened)) == ("LabelMe", [])
    assert [one.box for one in found] == [
        (1, 1, 11, 6),
        (10, 10.5, 20, 30),
        (1, 1, 9, 5),
        (20, 10, 40, 30),
        (40, 14, 60, 34),
        (3, 40, 6, 42),
        (0, 0, 4, 4),
    ]
    areas = [one.mask.area if one.mask else None for one in found]
    assert areas[:4] == [50, None, None, 200]
    assert abs((areas[4] or 0) - np.pi * 100) < 10
    assert areas[5:] == [3, 6]
    assert [one.score for one in found] == [None, None, 0.75, *[None] * 4]


def test_parts_of_one_group_are_one_object(tmp_path: Path) -> None:
    square = [[1, 1], [3, 1], [3, 3], [1, 3]]
    shapes = [
        shape("polygon", square, group_id=1),
        shape("mask", [[10, 10], [11, 10]], mask=mask([[1, 1]]), group_id=1),
        shape("polygon", square, group_id=1, label="dog"),
        shape("rectangle", [[1, 1], [2, 2]], group_id=2),
        shape("rectangle", [[4, 4], [5, 5]], group_id=2),
    ]
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.json": labelme(*shapes)}))
    found = pictures["a.jpg"].annotations.objects
    assert said(opened) == []
    assert [(one.label, one.box, one.mask and one.mask.area) for one in found] == [
        ("cat", (1, 1, 12, 11), 6),
        ("dog", (1, 1, 3, 3), 4),
        ("cat", (1, 1, 2, 2), None),
        ("cat", (4, 4, 5, 5), None),
    ]


def test_a_picture_within_the_label_file_is_taken_where_it_is_nowhere_else(tmp_path: Path) -> None:
    data = base64.b64encode(picture()).decode()
    files = {
        "a.json": labelme(imageData=data, imagePath="..\\pictures\\a b.jpg"),
        "b.json": labelme(imageData="no picture", imagePath="b.jpg"),
        "c.json": labelme(imagePath="C:\\x\\c.jpg"),
        "c.jpg": picture(),
    }
    pictures, opened = read(folder(tmp_path, files))
    assert {path: one.name for path, one in pictures.items()} == {"a.json": "a b.jpg", "c.jpg": "c.jpg"}
    assert pictures["a.json"].data == picture()
    assert [remark.where for remark in opened.left_out] == ["b.json"]


def test_what_is_broken_is_left_out_and_named(tmp_path: Path) -> None:
    png = mask(np.ones((2, 2)))
    shapes = [
        shape("rectangle", [[1, 1], [2, 2]]),
        shape("line", [[1, 1], [2, 2]]),
        shape("point", [[1, 1]]),
        shape("polygon", [[1, 1], [2, 2]]),
        shape("polygon", [[1, 1], [2, 2], [3, "x"]]),
        shape("rectangle", [[1, 1], [2, 2], [3, 3]]),
        shape("rectangle", [[1, 1], [1e400, 2]]),
        shape("mask", [[1, 1], [2, 2]], mask="?"),
        shape("mask", [[1, 1], [3, 2]], mask=png),
        shape("mask", [[63, 1], [64, 2]], mask=png),
        shape("mask", [[-1, 1], [0, 2]], mask=png),
        shape("circle", [[1, 1], [1, 1]]),
        shape("rectangle", [[1, 1], [2, 2]], label=None),
        "shape",
        shape(["polygon"], []),
    ]
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.json": labelme(*shapes)}))
    assert len(pictures["a.jpg"].annotations.objects) == 1
    assert [remark.where for remark in opened.left_out] == [f"a.json, shape {n}" for n in range(2, 16)]
    assert opened.left_out[0].reason == "is a line, which is no area"


def test_an_empty_picture_as_a_mask_is_its_box(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("1", (3, 2)).save(file, "PNG")
    nothing = shape("mask", [[3, 4], [5, 5]], mask=base64.b64encode(file.getvalue()).decode())
    pictures, _ = read(folder(tmp_path, {"a.jpg": picture(), "a.json": labelme(nothing)}))
    (one,) = pictures["a.jpg"].annotations.objects
    assert (one.box, one.mask) == ((3, 4, 6, 6), None)
