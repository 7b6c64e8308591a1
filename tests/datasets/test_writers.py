"""What the programs of the field write is read, to the pixel where they are, in their own environment."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.formats import dataset
from flask_detector.structures.detections import Detections, Origin
from tests.support.datasets import read as read_data_set
from tests.support.datasets import said
from tests.support.pictures import picture
from tests.support.readers import READERS, read

pytestmark = READERS

# What each program keeps of an object with a mask: all of it; its box alone, if that; or less: supervision
# takes outlines from OpenCV, which run through the middles of pixels, and Label Studio keeps parts alone.
MASKS = {"datumaro coco_instances", "datumaro voc", "label-studio brush", "labelme beside", "labelme inside"}
BOXES = {"datumaro yolo", "datumaro yolo_ultralytics", "supervision coco"}
PARTS = {"label-studio COCO", "label-studio YOLO", "label-studio JSON_MIN"}
# datumaro writes a box beside each mask; Label Studio's VOC has no polygons, and LabelMe gets masks alone.
BOTH = {"datumaro cvat"}
LESS = {"supervision voc", "supervision yolo", "supervision labelme", "label-studio VOC"}
WITHOUT_BOXES = {"label-studio brush", "labelme beside", "labelme inside"}
# datumaro counts boxes in VOC from 0, and Label Studio cuts fractions off.
ROUNDED = {"datumaro voc", "label-studio VOC"}


@pytest.fixture
def corrected(flat: Detections) -> dict[str, Detections]:
    """Objects with masks in one picture, boxes alone in another, as a person has left them."""
    origins = (Origin("person", True, None),) * 3
    whole = replace(flat, scores=np.ones(3, np.float32), origins=origins)
    return {"my flat 図.jpg": whole, "boxes.jpg": replace(whole, masks=None)}


def objects_in(found: Any) -> list[tuple[str, tuple[float, ...], Any]]:
    return sorted(
        (one.label, tuple(one.box), one.mask.to_rle(width=64, height=48)["counts"] if one.mask else "")
        for one in found
    )


def test_what_other_programs_write_is_read(corrected: dict[str, Detections], tmp_path: Path) -> None:
    for name in ("coco-rle", "label-studio"):
        items = [(filename, found, picture(filename[0])) for filename, found in corrected.items()]
        zipfile.ZipFile(io.BytesIO(dataset.write(name, items))).extractall(tmp_path / name)
    (tmp_path / "out").mkdir()
    names = read("write_data_sets", tmp_path / "coco-rle", tmp_path / "label-studio", tmp_path / "out")
    assert set(names) == MASKS | BOXES | PARTS | BOTH | LESS
    with_masks = objects_in(corrected["my flat 図.jpg"])
    boxes_only = objects_in(corrected["boxes.jpg"])
    for name in names:
        pictures, opened = read_data_set(tmp_path / "out" / name)
        assert said(opened) == [], name
        found = {one.name: objects_in(one.annotations.objects) for one in pictures.values()}
        assert set(found) == set(corrected), name
        if name in ROUNDED:
            boxes = np.array([[box for _, box, _ in one] for one in (found["boxes.jpg"], boxes_only)])
            assert np.abs(boxes[0] - boxes[1]).max() <= 2, name
        elif name not in WITHOUT_BOXES:
            assert found["boxes.jpg"] == boxes_only, name
        one = found["my flat 図.jpg"]
        if name in MASKS:
            assert [(label, mask) for label, _, mask in one] == [(label, m) for label, _, m in with_masks], (
                name
            )
        elif name in BOXES:
            assert [(label, box) for label, box, _ in one] == [
                (label, box) for label, box, _ in boxes_only
            ], name
        elif name in PARTS:
            areas = [
                shape.mask.area for p in pictures.values() for shape in p.annotations.objects if shape.mask
            ]
            assert sum(areas) == sum(mask.area for mask in corrected["my flat 図.jpg"].masks or () if mask), (
                name
            )
        elif name in BOTH:
            assert [entry for entry in one if entry[2]] == with_masks, name
        splits = {picture_.split for picture_ in pictures.values()}
        assert splits == (
            {"train", "val"} if name.startswith("datumaro") and name != "datumaro cvat" else {None}
        )
