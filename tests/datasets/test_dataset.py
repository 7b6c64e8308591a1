"""Pictures with their objects, whatever the format: sizes, turned pictures, several formats, classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from flask_detector.datasets import turning
from flask_detector.formats import dataset
from flask_detector.imaging import decode
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask
from tests.support.datasets import LIMITS, folder, read, said
from tests.support.pictures import encoded, picture


def coco(size: tuple[int, int], *annotations: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}],
        "categories": [{"id": 1, "name": "Car"}, {"id": 2, "name": "car"}],
        "annotations": [{"image_id": 1, "category_id": 1, **one} for one in annotations],
    }


# Our exports that are data sets: the name of what they are read as.
EXPORTS = {
    "coco": "COCO",
    "coco-rle": "COCO",
    "cvat": "CVAT",
    "label-studio": "Label Studio",
    "labelme": "LabelMe",
    "labelme-polygons": "LabelMe",
    "voc": "Pascal VOC",
    "yolo": "YOLO",
    "yolo-seg": "YOLO",
}
WITHOUT_MASKS = {"voc", "yolo"}
WITHOUT_SCORES = {"cvat", "yolo", "yolo-seg"}


@pytest.mark.parametrize("name", EXPORTS)
def test_what_we_export_comes_back_to_the_pixel(name: str, tmp_path: Path, flat: Detections) -> None:
    (tmp_path / "set.zip").write_bytes(dataset.write(name, [("my flat 図.jpg", flat, picture())]))
    pictures, opened = read(tmp_path / "set.zip")
    assert (opened.format, said(opened), len(pictures)) == (EXPORTS[name], [], 1)
    assert set(opened.classes) >= set(map(flat.labels.__getitem__, flat.class_ids))
    (one,) = pictures.values()
    found = one.annotations.to_detections("a-model")
    assert (one.name, one.data, one.annotations.width) == ("my flat 図.jpg", picture(), 64)
    assert [instance.label for instance in found] == [instance.label for instance in flat]
    np.testing.assert_allclose(found.boxes, flat.boxes, atol=1e-3)
    scores = np.ones(3) if name in WITHOUT_SCORES else flat.scores
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)
    masks = [mask and mask.to_rle(width=64, height=48) for mask in found.masks or ()]
    kept = [] if name in WITHOUT_MASKS else [m and m.to_rle(width=64, height=48) for m in flat.masks or ()]
    assert masks == kept
    assert [annotation.polygons for annotation in one.annotations.objects] == [None] * 3


@pytest.mark.parametrize("name", sorted({*EXPORTS} - {"label-studio", "labelme", "labelme-polygons"}))
def test_the_parts_of_what_we_export_come_back(name: str, tmp_path: Path, flat: Detections) -> None:
    parts = {"a.jpg": "train", "b.jpg": "val", "c.jpg": "test"}
    items = [(filename, flat, picture(filename), part) for filename, part in parts.items()]
    (tmp_path / "set.zip").write_bytes(dataset.write(name, items))
    pictures, opened = read(tmp_path / "set.zip")
    assert said(opened) == []
    assert {one.name: one.split for one in pictures.values()} == parts
    assert [len(one.annotations.objects) for one in pictures.values()] == [3] * 3


@pytest.mark.parametrize("orientation", turning.ON_ITS_SIDE)
def test_labels_of_the_picture_as_it_is_stored_are_turned_with_it(orientation: int, tmp_path: Path) -> None:
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[5:15, 10:40] = 255
    stored[5:10, 10:15] = 0
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(Image.fromarray(stored), "PNG", exif=exif)
    white = Mask.from_bitmap(stored[:, :, 0] > 0)
    ring = [15, 5, 40, 5, 40, 15, 10, 15, 10, 10, 15, 10]
    shapes = [
        {"bbox": [10, 5, 30, 10], "segmentation": white.to_rle(width=60, height=40)},
        {"segmentation": [ring], "category_id": 2},
    ]
    pictures, opened = read(folder(tmp_path, {"a.png": data, "a.json": coco((60, 40), *shapes)}))
    upright, _ = decode.decode(data, LIMITS)
    for one in pictures["a.png"].annotations.objects:
        assert one.mask is not None
        whole = np.zeros(upright.shape[:2], bool)
        mask = one.mask
        whole[mask.y : mask.y + mask.height, mask.x : mask.x + mask.width] = mask.bitmap()
        assert (whole == (upright[:, :, 0] > 0)).all()
        assert one.box == (mask.x, mask.y, mask.x + mask.width, mask.y + mask.height)
    assert said(opened) == []


def test_labels_for_another_size_are_left_out_with_their_picture(tmp_path: Path) -> None:
    files = {"a.png": encoded(Image.new("RGB", (64, 48)), "PNG"), "a.json": coco((48, 64))}
    pictures, opened = read(folder(tmp_path, files))
    assert pictures == {}
    assert said(opened)[0] == "a.json, image 1 is for 48x64 pixels, but the picture is 64x48"


def test_of_two_formats_the_one_for_more_pictures_is_read(tmp_path: Path) -> None:
    files = {
        "a.png": encoded(Image.new("RGB", (64, 48)), "PNG"),
        "b.jpg": picture(),
        "a.json": coco((64, 48)),
        "a.txt": "0 0.5 0.5 0.5 0.5",
        "b.txt": "0 0.5 0.5 0.5 0.5",
    }
    pictures, opened = read(folder(tmp_path, files))
    assert (opened.format, len(pictures)) == ("YOLO", 2)
    assert said(opened) == ["a.json is COCO; YOLO has labels for more pictures"]


def test_pictures_without_labels_are_kept_and_what_is_no_picture_is_said(tmp_path: Path) -> None:
    files = {"a.jpg": picture(), "a.txt": "0 0.5 0.5 0.5 0.5", "b.jpg": picture(), "c.jpg": "no picture"}
    pictures, opened = read(folder(tmp_path, files))
    assert {path: len(one.annotations.objects) for path, one in pictures.items()} == {"a.jpg": 1, "b.jpg": 0}
    assert said(opened) == ["c.jpg can't be used: The file is not a picture of a known format."]


def test_files_with_the_name_of_a_picture_that_hold_no_labels_are_said(tmp_path: Path) -> None:
    files = {
        "a.jpg": picture(),
        "a.txt": "what is this\n0 0.5 0.5 0.5 0.5",
        "b.jpg": picture(),
        "b.txt": "a cat",
        "c.jpg": picture(),
        "c.xml": "<annot",
        "readme.txt": "words",
    }
    pictures, opened = read(folder(tmp_path, files))
    assert [len(one.annotations.objects) for one in pictures.values()] == [1, 0, 0]
    words = "has the name of a picture, but no labels of a format that is read here"
    assert said(opened) == [
        f"b.txt {words}",
        f"c.xml {words}",
        "a.txt, line 1 does not begin with the number of a class",
    ]


def test_an_outline_that_leaves_the_picture_is_cut_along_its_border(tmp_path: Path) -> None:
    # A diamond around (0, 24), of which the right half lies in the picture.
    ring = [-20, 24, 0, 4, 20, 24, 0, 44]
    files = {
        "a.png": encoded(Image.new("RGB", (64, 48)), "PNG"),
        "a.json": coco((64, 48), {"segmentation": [ring]}),
    }
    pictures, opened = read(folder(tmp_path, files))
    (one,) = pictures["a.png"].annotations.objects
    assert one.mask is not None
    assert (one.box, one.mask.area) == ((0, 4, 20, 44), 400)
    assert sorted(map(tuple, one.polygons[0][0] if one.polygons else [])) == [(0, 4), (0, 44), (20, 24)]
    assert [remark.where for remark in opened.changed if "cut" in remark.reason] == ["a.json, annotation 1"]
