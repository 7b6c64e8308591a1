"""YOLO data sets are read in the layouts of Ultralytics, Darknet, Roboflow and labelImg."""

from pathlib import Path

import pytest

from tests.support.datasets import folder, read, said, zipped
from tests.support.pictures import picture

# The middle of a picture of 64 by 48: x 24 to 40, y 12 to 36.
MIDDLE = (24.0, 12.0, 40.0, 36.0)
BOX = "0.5 0.5 0.25 0.5"


LAYOUTS = {
    "Ultralytics": {
        "coco8/data.yaml": "path: ../coco8\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n",
        "coco8/images/train/a.jpg": picture(),
        "coco8/labels/train/a.txt": f"1 {BOX}\n",
        "coco8/images/val/b.jpg": picture(),
        "coco8/labels/val/b.txt": "",
    },
    "Roboflow": {
        "data.yaml": "train: ../train/images\nval: ../valid/images\n\nnc: 2\nnames: ['cat', 'dog']\n",
        "train/images/a.jpg": picture(),
        "train/labels/a.txt": f"1 {BOX}",
        "valid/images/b.jpg": picture(),
        "valid/labels/b.txt": "",
    },
    "Darknet": {
        "obj.data": "classes = 2\ntrain = data/train.txt\n",
        "obj.names": "\ufeffcat\r\ndog\r\n",
        "train.txt": "data/obj_train_data/a.jpg\n",
        "valid.txt": "data/obj_train_data/b.jpg\n",
        "obj_train_data/a.jpg": picture(),
        "obj_train_data/a.txt": f"1 {BOX}\r\n",
        "obj_train_data/b.jpg": picture(),
    },
    "labelImg": {
        "classes.txt": "cat\ndog\n",
        "train/a.jpg": picture(),
        "train/a.txt": f"1 {BOX}\n",
        "val/b.jpg": picture(),
    },
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_gives_pictures_classes_and_splits(name: str, tmp_path: Path) -> None:
    pictures, opened = read(zipped(tmp_path / "set.zip", LAYOUTS[name]))
    found = {one.name: one for one in pictures.values()}
    assert (opened.format, opened.classes, said(opened)) == ("YOLO", ("cat", "dog"), [])
    assert {key: one.split for key, one in found.items()} == {"a.jpg": "train", "b.jpg": "val"}
    assert [(one.label, one.box) for one in found["a.jpg"].annotations.objects] == [("dog", MIDDLE)]
    assert found["b.jpg"].annotations.objects == ()


def test_scores_and_outlines_are_told_by_how_many_numbers_there_are(tmp_path: Path) -> None:
    corners = "0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"
    lines = [f"0 {BOX}", f"0 {BOX} 0.5", f"0 {corners}", f"1 {corners} 0.25"]
    pictures, opened = read(folder(tmp_path, {"a.jpg": picture(), "a.txt": "\n".join(lines)}))
    found = pictures["a.jpg"].annotations.objects
    assert said(opened) == ["a.txt, line 2 is there twice"]
    assert [(one.label, one.source, one.score) for one in found] == [
        ("0", "person", None),
        ("0", "person", None),
        ("1", "model", 0.25),
    ]
    assert [one.mask.area if one.mask else None for one in found] == [None, 768, 768]


def test_lines_that_are_no_objects_are_named_and_the_others_read(tmp_path: Path) -> None:
    lines = [
        f"0 {BOX}",
        "0 0.5 0.5",
        "x 1 2 3 4",
        f"7 {BOX}",
        "0 0.5 0.5 0 0",
        "0 0.5 0.5 nan 1",
        "",
        f"-1 {BOX}",
    ]
    files = {"classes.txt": "cat\n", "a.jpg": picture(), "a.txt": "\n".join(lines)}
    pictures, opened = read(folder(tmp_path, files))
    assert [one.label for one in pictures["a.jpg"].annotations.objects] == ["cat"]
    assert said(opened) == [
        "a.txt, line 2 has neither the four numbers of a box nor the corners of an outline",
        "a.txt, line 3 does not begin with the number of a class",
        "a.txt, line 4 is of class 7, and 1 have a name",
        "a.txt, line 5 has a box without an area",
        "a.txt, line 6 has something else than numbers for its place",
        "a.txt, line 8 does not begin with the number of a class",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "names: &a [x, *a]",
        "names: " + "[" * 1000,
        "names: !!python/object/apply:os.system [echo]",
        "names: [",
        "names: {x: y}",
        "\x00",
    ],
)
def test_a_yaml_file_that_does_more_than_name_classes_is_left_out(text: str, tmp_path: Path) -> None:
    files = {"data.yaml": text, "a.jpg": picture(), "a.txt": f"0 {BOX}"}
    pictures, opened = read(folder(tmp_path, files))
    assert [one.label for one in pictures["a.jpg"].annotations.objects] == ["0"]
    assert [remark.where for remark in opened.left_out] == ["data.yaml"]


def test_labels_without_a_picture_are_said(tmp_path: Path) -> None:
    files = {"a.jpg": picture(), "labels/a.txt": f"0 {BOX}", "labels/b.txt": f"0 {BOX}"}
    pictures, opened = read(folder(tmp_path, files))
    assert list(pictures) == ["a.jpg"]
    assert said(opened) == ["labels/b.txt is for b.*, which is not there"]
