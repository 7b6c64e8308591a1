"""Pascal VOC and CVAT."""

import io
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest

from flask_detector.formats import FORMATS, dataset
from flask_detector.formats.xml_writer import text
from flask_detector.structures.detections import Detections


def test_a_voc_box_is_every_pixel_touched_counted_from_1(with_masks: Detections) -> None:
    root = ElementTree.fromstring(FORMATS["voc"].write(with_masks, "my flat.jpg"))
    assert root.findtext("filename") == "my flat.jpg"
    assert [root.findtext(f"size/{side}") for side in ("width", "height", "depth")] == ["64", "48", "3"]
    boxes = [
        [int(entry.findtext(f"bndbox/{side}") or "") for side in ("xmin", "ymin", "xmax", "ymax")]
        for entry in root.iter("object")
    ]
    assert boxes == [[2, 3, 8, 7], [21, 11, 27, 14], [61, 41, 64, 48], [31, 31, 33, 32]]
    assert [entry.findtext("truncated") for entry in root.iter("object")] == ["0", "0", "1", "0"]
    assert [entry.findtext("name") for entry in root.iter("object")] == [
        "chair",
        "person",
        "toothbrush",
        "car",
    ]


def test_a_voc_box_without_any_size_is_a_pixel_of_the_picture() -> None:
    found = Detections(
        width=10,
        height=10,
        boxes=np.array([[10, 10, 10, 10], [3, 3, 3, 3]], np.float32),
        scores=np.array([0.5, 0.5], np.float32),
        class_ids=np.zeros(2, np.int64),
        labels=("a",),
        model="m",
    )
    root = ElementTree.fromstring(FORMATS["voc"].write(found, "a.jpg"))
    boxes = [[int(side.text or "") for side in box] for box in root.iter("bndbox")]
    assert boxes == [[10, 10, 10, 10], [4, 4, 4, 4]]


def test_a_voc_data_set_lists_its_pictures(with_masks: Detections) -> None:
    items = [("cat.jpg", with_masks, None), ("cat.png", with_masks, None)]
    archive = zipfile.ZipFile(io.BytesIO(dataset.write("voc", items)))
    assert archive.read("ImageSets/Main/default.txt") == b"cat\ncat-2\n"
    root = ElementTree.fromstring(archive.read("Annotations/cat-2.xml"))
    assert root.findtext("filename") == "cat-2.png"


def test_cvat_has_masks_row_by_row_and_boxes_without_one(with_masks: Detections) -> None:
    root = ElementTree.fromstring(FORMATS["cvat"].write(with_masks, "my flat.jpg"))
    assert root.findtext("version") == "1.1"
    assert [label.text for label in root.findall("meta/task/labels/label/name")] == list(with_masks.labels)
    (image,) = root.findall("image")
    assert dict(image.attrib) == {"id": "0", "name": "my flat.jpg", "width": "64", "height": "48"}
    assert [shape.tag for shape in image] == ["mask", "mask", "mask", "box"]
    second = image[1].attrib
    assert second["rle"] == "0, 2, 3, 3, 2, 1, 11, 2"
    assert [second[name] for name in ("left", "top", "width", "height")] == ["20", "10", "6", "4"]
    assert [image[3].attrib[name] for name in ("xtl", "ytl", "xbr", "ybr")] == [
        "30.00",
        "30.00",
        "33.00",
        "32.00",
    ]


def test_a_cvat_data_set_counts_its_pictures(with_masks: Detections, nothing: Detections) -> None:
    items = [("a.jpg", with_masks, None), ("b.jpg", nothing, None)]
    archive = zipfile.ZipFile(io.BytesIO(dataset.write("cvat", items)))
    root = ElementTree.fromstring(archive.read("annotations.xml"))
    assert [(image.get("id"), image.get("name"), len(image)) for image in root.iter("image")] == [
        ("0", "a.jpg", 4),
        ("1", "b.jpg", 0),
    ]


@pytest.mark.parametrize("name", ["voc", "cvat"])
def test_any_label_goes_into_xml_and_comes_out_of_it(name: str, boxes_only: Detections) -> None:
    root = ElementTree.fromstring(FORMATS[name].write(boxes_only, "<&\">'.jpg"))
    if name == "voc":
        labels = [entry.findtext("name") for entry in root.iter("object")]
    else:
        labels = [box.get("label") for box in root.iter("box")]
    assert labels == list(boxes_only.labels)


def test_what_xml_can_not_hold_is_replaced() -> None:
    assert text("a\x00b\x1b[2Jc\ud800\ufffe") == "a\ufffdb\ufffd[2Jc\ufffd\ufffd"
