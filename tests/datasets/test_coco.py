"""COCO data sets are read, official ones and such as others write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.datasets import coco as coco_module
from flask_detector.structures.masks import Mask
from tests.support.datasets import folder, read, said, zipped
from tests.support.pictures import picture


def coco(*annotations: Any, name: str = "a.jpg", **others: Any) -> dict[str, Any]:
    entries = [{"id": n, "image_id": 1, "category_id": 7, **one} for n, one in enumerate(annotations, 1)]
    return {
        "images": [{"id": 1, "file_name": name, "width": 64, "height": 48}],
        "categories": [{"id": 7, "name": "fish"}, {"id": 9, "name": "coin"}],
        "annotations": entries,
        **others,
    }


def objects(path: Path, name: str = "a.jpg") -> list[tuple[str, tuple[float, ...]]]:
    pictures, _ = read(path)
    return [(one.label, one.box) for one in pictures[name].annotations.objects]


def test_polygons_plain_and_compressed_run_lengths_and_boxes_alone_are_read(tmp_path: Path) -> None:
    square = Mask.from_bitmap(np.ones((10, 20), bool), x=5, y=6)
    plain = {"size": [48, 64], "counts": square.counts_in(64, 48).tolist()}
    ring = [5, 6, 25, 6, 25, 16, 5, 16]
    forms: list[dict[str, Any]] = [
        {"segmentation": plain},
        {"segmentation": square.to_rle(width=64, height=48), "category_id": 9},
        {"segmentation": [ring], "bbox": [5, 6, 20, 10.5]},
        {"bbox": [1, 2, 3, 4], "segmentation": []},
    ]
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.json": coco(*forms)}))
    found = pictures["a.jpg"].annotations.objects
    assert said(opened) == []
    assert [one.mask.area if one.mask else None for one in found] == [200, 200, 200, None]
    assert [one.label for one in found] == ["fish", "coin", "fish", "fish"]
    assert [one.box for one in found[::3]] == [(5, 6, 25, 16), (1, 2, 4, 6)]


def test_annotations_may_come_before_pictures_and_categories(tmp_path: Path) -> None:
    whole = coco({"bbox": [1, 2, 3, 4]})
    files = {"a.jpg": picture(), "a.json": dict(reversed(whole.items()))}
    assert objects(folder(tmp_path, files)) == [("fish", (1, 2, 4, 6))]


def test_categories_of_one_name_are_one_class_and_that_is_said(tmp_path: Path) -> None:
    named = [{"id": 7, "name": "fish"}, {"id": 9, "name": "fish"}]
    data = coco({"bbox": [1, 2, 3, 4]}, {"bbox": [5, 6, 7, 8], "category_id": 9}, categories=named)

    pictures, dataset = read(folder(tmp_path, {"a.jpg": picture(), "instances.json": data}))

    assert [one.label for one in pictures["a.jpg"].annotations.objects] == ["fish", "fish"]
    assert [f"{one.where} {one.reason}" for one in dataset.changed] == [
        "Class 'fish' is declared 2 times and is one"
    ]


def test_several_files_may_be_about_the_same_picture(tmp_path: Path) -> None:
    other = coco({"bbox": [5, 5, 5, 5]}, categories=[{"id": 7, "name": "penguin"}])
    files = {"a.jpg": picture(), "fish.json": coco({"bbox": [1, 2, 3, 4]}), "penguins.json": other}
    assert [label for label, _ in objects(folder(tmp_path, files))] == ["fish", "penguin"]


def test_files_for_training_and_validation_give_the_split_and_their_own_pictures(tmp_path: Path) -> None:
    files = {
        "annotations/instances_train2017.json": coco({"bbox": [1, 2, 3, 4]}),
        "annotations/instances_val2017.json": coco({"bbox": [5, 5, 5, 5]}),
        "train2017/a.jpg": picture("train"),
        "val2017/a.jpg": picture("val"),
    }
    pictures, opened = read(zipped(tmp_path / "set.zip", files))
    assert said(opened) == []
    assert {path: one.split for path, one in pictures.items()} == {
        "train2017/a.jpg": "train",
        "val2017/a.jpg": "val",
    }
    assert [one.annotations.objects[0].box for one in pictures.values()] == [(1, 2, 4, 6), (5, 5, 10, 10)]


def test_a_crowd_is_left_out_but_not_what_cvat_and_datumaro_call_so(tmp_path: Path) -> None:
    crowd = {"bbox": [1, 2, 30, 30], "iscrowd": 1}
    masked = {"bbox": [1, 2, 3, 4], "iscrowd": 1, "attributes": {"occluded": False}}
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.json": coco(crowd, masked)}))
    assert [one.box for one in pictures["a.jpg"].annotations.objects] == [(1, 2, 4, 6)]
    assert said(opened) == ["a.json, annotation 1 is a crowd: several objects at once"]


def test_what_is_broken_is_left_out_and_named_and_the_rest_is_read(tmp_path: Path) -> None:
    broken = [
        {"bbox": [1, 2, 3, 4]},
        {"bbox": [1, 2, 3, 4]},
        {"bbox": [1, 2, 0, 4]},
        {"bbox": [100, 2, 3, 4]},
        {"bbox": [50, 2, 30, 4]},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, "nan", 4]},
        {"category_id": 8},
        {"category_id": [8]},
        {},
        {"segmentation": [[1, 2, 3, 4]]},
        {"segmentation": [[1, 2, 3]]},
        {"segmentation": {"size": [1, 1], "counts": "1"}},
        {"segmentation": {"size": [48, 64], "counts": [1]}},
        {"image_id": 2, "bbox": [1, 2, 3, 4]},
        {"image_id": None},
    ]
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.json": coco(*broken)}))
    assert [one.box for one in pictures["a.jpg"].annotations.objects] == [(1, 2, 4, 6), (50, 2, 64, 6)]
    assert sorted(said(opened)) == sorted(
        [
            "a.json has an entry of annotations without an id",
            "a.json, annotation 2 is there twice",
            "a.json, annotation 3 has a box without an area",
            "a.json, annotation 4 lies outside the picture",
            "a.json, annotation 5 reached outside the picture; cut at its border",
            "a.json, annotation 6 has something else than numbers for its place",
            "a.json, annotation 7 has something else than numbers for its place",
            "a.json, annotation 8 is of category 8, which is not listed",
            "a.json, annotation 9 is of category [8], which is not listed",
            "a.json, annotation 10 has neither a box nor an outline",
            "a.json, annotation 11 has an outline of fewer than three corners, "
            "or of something else than numbers",
            "a.json, annotation 12 has an outline that is no list of x and y",
            "a.json, annotation 13 has a mask that is not of the picture's size, 64x48",
            "a.json, annotation 14 has a mask that is damaged",
            "a.json has 1 annotations of image 2, which it does not list",
        ]
    )


def test_more_than_memory_has_room_for_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = coco({"bbox": [1, 2, 3, 4]}, {"bbox": [5, 5, 5, 5]})
    root = folder(tmp_path, {"a.jpg": picture(), "a.json": document})
    for name, most, words in (
        ("_MOST_ANNOTATIONS", 1, "is read up to the 1 annotations that there may be in all"),
        ("_MOST_CATEGORIES", 1, "has more than 1 categories"),
        ("_MOST_PICTURES", 0, "has more than 0 pictures"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(coco_module, name, most)
            assert said(read(root)[1])[-1] == f"a.json {words}"


def test_ids_that_are_used_twice_are_said(tmp_path: Path) -> None:
    document = coco({"bbox": [1, 2, 3, 4]})
    document["images"].append({"id": 1, "file_name": "b.jpg"})
    document["categories"].append({"id": 7, "name": "bird"})
    _, opened = read(folder(tmp_path, {"a.jpg": picture(), "b.jpg": picture(), "a.json": document}))
    assert said(opened) == [
        "a.json, image 1 (b.jpg) has the id of another one",
        "a.json, category 7 (bird) has the id of another one",
    ]


@pytest.mark.parametrize(
    "text",
    [
        b'{"images": [',
        b'{"images": [{"id": 1}',
        b'{"images": {"id": 1, "file_name": ' + b"[" * 100_000,
        b'{"annotations": [{"image_id": ' + b"9" * 10_000 + b"}]}",
        b'{"annotations": [1, "a", null, {}, [], {"image_id": 1e999}]',
        b'{"images": [\xff]}',
        b'{"images": []} {}',
    ],
)
def test_a_file_that_is_no_json_is_left_out(text: bytes, tmp_path: Path) -> None:
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.json": text}))
    assert len(pictures) == 1
    assert opened.left_out[-1].where == "a.json"


def test_where_a_file_breaks_is_said_by_its_line(tmp_path: Path) -> None:
    text = json.dumps(coco({"bbox": [1, 2, 3, 4]}), indent=1)
    lines = text.splitlines()
    cut = "\n".join([*lines[:4], "oops", *lines[5:]])
    _, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.json": cut}))
    assert said(opened) == ["a.json is not JSON, or is cut short, at line 3"]


def test_marks_of_byte_order_and_other_unicode_are_read(tmp_path: Path) -> None:
    document = coco({"bbox": [1, 2, 3, 4]}, name="Ångström 図.jpg", categories=[{"id": 7, "name": "рыба"}])
    for number, encoding in enumerate(("utf-8-sig", "utf-16")):
        text = json.dumps(document, ensure_ascii=False).encode(encoding)
        root = folder(tmp_path / str(number), {"A\u030angstro\u0308m 図.JPG": picture(), "a.json": text})
        pictures, _ = read(root)
        assert [one.annotations.objects[0].label for one in pictures.values()] == ["рыба"]
