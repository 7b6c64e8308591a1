import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faster_coco_eval
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from flask_detector.formats import FORMATS, dataset
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap

Whole = Callable[[Detections], list[Bitmap]]

# pycocotools 2.0.11 is older than NumPy 2's __array__.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


def opened(path: Path, data: bytes) -> Any:
    path.write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(path)


@pytest.mark.parametrize("name", ["coco", "coco-rle"])
def test_pycocotools_opens_a_data_set_and_gets_the_masks_back(
    with_masks: Detections, whole: Whole, tmp_path: Path, name: str
) -> None:
    coco = opened(tmp_path / "a.json", FORMATS[name].write(with_masks, "my flat.jpg"))
    assert coco.loadImgs([1]) == [{"id": 1, "file_name": "my flat.jpg", "width": 64, "height": 48}]
    annotations = coco.loadAnns(coco.getAnnIds([1]))
    # The last mask is empty, and no polygon is.
    masks = whole(with_masks)[: 3 if name == "coco" else 4]
    assert [one["category_id"] for one in annotations] == [62, 1, 90, 3][: len(masks)]
    assert annotations[0]["bbox"] == [1.25, 2.5, 6.75, 4.5]
    assert [one["area"] for one in annotations] == [23, 8, 12, 0][: len(masks)]
    for annotation, expected in zip(annotations, masks, strict=True):
        np.testing.assert_array_equal(coco.annToMask(annotation).astype(bool), expected)


@pytest.mark.parametrize("name", ["coco", "coco-rle"])
def test_faster_coco_eval_opens_a_data_set_and_gets_the_masks_back(
    with_masks: Detections, whole: Whole, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(FORMATS[name].write(with_masks, "a.jpg"))
    coco = faster_coco_eval.COCO(path)
    annotations = coco.loadAnns(coco.getAnnIds([1]))
    masks = whole(with_masks)[: len(annotations)]
    for annotation, expected in zip(annotations, masks, strict=True):
        np.testing.assert_array_equal(coco.annToMask(annotation).astype(bool), expected)


@pytest.mark.parametrize("name", ["coco", "coco-rle"])
def test_masks_are_measured_though_some_are_empty(with_masks: Detections, tmp_path: Path, name: str) -> None:
    items: list[dataset.Item] = [(f"{number}.jpg", with_masks, None) for number in (1, 2)]
    archive = zipfile.ZipFile(io.BytesIO(dataset.write(name, items)))
    truth = opened(tmp_path / "a.json", archive.read("annotations/instances_default.json"))
    results = zipfile.ZipFile(io.BytesIO(dataset.write("coco-results", items))).read("results.json")
    (tmp_path / "results.json").write_bytes(results)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # What is outside all over matches nothing: of the four classes the last is never found.
    assert evaluation.stats[0] == pytest.approx(1.0 if name == "coco" else 0.75)


@pytest.mark.parametrize("name", ["coco", "coco-rle"])
def test_results_measured_against_the_data_set_are_perfect(
    with_masks: Detections, tmp_path: Path, name: str
) -> None:
    found = with_masks.where(np.array([True, True, True, False]))
    truth = opened(tmp_path / "a.json", FORMATS[name].write(found, "000042.jpg"))
    path = tmp_path / "results.json"
    path.write_bytes(FORMATS["coco-results"].write(found, "000042.jpg"))
    with contextlib.redirect_stdout(io.StringIO()):
        guesses = truth.loadRes(str(path))
        for kind in ("bbox", "segm"):
            evaluation = COCOeval(truth, guesses, kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            assert evaluation.stats[0] == pytest.approx(1.0)
    coco = faster_coco_eval.COCO(tmp_path / "a.json")
    faster = faster_coco_eval.COCOeval_faster(coco, coco.loadRes(str(path)), "segm", print_function=str)
    faster.run()
    assert faster.stats[0] == pytest.approx(1.0)


def test_a_model_with_classes_of_its_own_has_ids_from_1(boxes_only: Detections) -> None:
    form = json.loads(FORMATS["coco"].write(boxes_only, "a.jpg"))
    assert [(one["id"], one["name"]) for one in form["categories"]] == list(enumerate(boxes_only.labels, 1))
    assert [one["segmentation"] for one in form["annotations"]] == [[]] * 4
    assert form["annotations"][0]["area"] == pytest.approx(6.75 * 4.5, abs=0.01)
    entries = json.loads(FORMATS["coco-results"].write(boxes_only, "a.jpg"))
    assert all("segmentation" not in entry for entry in entries)
    assert [entry["category_id"] for entry in entries] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["coco", "coco-rle", "coco-results"])
def test_nothing_found_is_still_a_whole_file(nothing: Detections, name: str, tmp_path: Path) -> None:
    data = FORMATS[name].write(nothing, "a.jpg")
    if name == "coco-results":
        assert json.loads(data) == []
    else:
        assert len(opened(tmp_path / "a.json", data).getCatIds()) == 80


def test_a_data_set_of_several_models_joins_their_classes_by_name(
    with_masks: Detections, boxes_only: Detections
) -> None:
    items = [("1.jpg", with_masks, None), ("cat.jpg", boxes_only, None), ("cat.png", with_masks, None)]
    archive = zipfile.ZipFile(io.BytesIO(dataset.write("coco", items)))
    form = json.loads(archive.read("annotations/instances_default.json"))
    ids = {one["name"]: one["id"] for one in form["categories"]}
    assert len(ids) == len(set(ids.values())) == 84
    assert (ids["person"], ids["toothbrush"], ids["=cmd()"]) == (1, 90, 92)
    assert [(one["id"], one["file_name"]) for one in form["images"]] == [
        (1, "1.jpg"),
        (2, "cat.jpg"),
        (3, "cat-2.png"),
    ]
    assert [one["id"] for one in form["annotations"]] == list(range(1, 11))
    assert [one["image_id"] for one in form["annotations"]] == [1] * 3 + [2] * 4 + [3] * 3


def test_a_picture_named_by_a_number_has_it_as_its_id(with_masks: Detections) -> None:
    names = ["000000000139.jpg", "x.jpg", "1.jpg", "99999999999999999999.jpg", "²3.jpg"]
    archive = zipfile.ZipFile(
        io.BytesIO(dataset.write("coco-results", [(n, with_masks, None) for n in names]))
    )
    images = json.loads(archive.read("images.json"))
    assert [one["id"] for one in images] == [139, 1, 2, 3, 4]
    assert {one["image_id"] for one in json.loads(archive.read("results.json"))} == {139, 1, 2, 3, 4}
