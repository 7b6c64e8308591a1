import json
from pathlib import Path

import numpy as np
import pytest

from flask_detector.datasets import open_dataset
from flask_detector.errors import BadParameter, BadTrainingData
from flask_detector.imaging import decode
from flask_detector.teach.bases import NanoDetBase
from flask_detector.teach.examples import TrainingData
from flask_detector.teach.taking import take
from tests.support.datasets import LIMITS
from tests.support.lessons import coco


@pytest.fixture(scope="module")
def base() -> NanoDetBase:
    return NanoDetBase("nanodet-g")


def taken(
    data: Path, folder: Path, base: NanoDetBase, *classes: str, is_partly_marked: bool = False
) -> TrainingData:
    with open_dataset(data, limits=LIMITS) as dataset:
        return take(dataset, folder, base, LIMITS, classes=classes, is_partly_marked=is_partly_marked)


def changed(folder: Path, **members: object) -> Path:
    file = folder / "instances.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | members))
    return folder


def test_pictures_are_kept_as_the_network_sees_them_with_their_objects(
    tmp_path: Path, base: NanoDetBase
) -> None:
    data = taken(coco(tmp_path / "data", 2), tmp_path / "run", base)
    loaded = TrainingData.load(tmp_path / "run")

    assert loaded is not None
    assert loaded.classes == data.classes == ("brick", "tile")
    for one in loaded.examples:
        assert one.pixels().shape == (384, 512, 3)
        assert (one.width, one.height) == (160, 120)
        assert one.class_ids.tolist() == [0, 1]
        assert (one.boxes[:, 2:] - one.boxes[:, :2]).tolist() == [[50, 50], [50, 50]]
    np.testing.assert_array_equal(loaded.examples[0].found.boxes, data.examples[0].found.boxes)


def test_what_an_earlier_version_has_taken_is_taken_again(tmp_path: Path) -> None:
    (tmp_path / "examples.json").write_text('{"classes": ["brick"], "examples": []}')

    assert TrainingData.load(tmp_path) is None


def test_the_version_is_that_of_the_pictures_and_of_what_is_marked(tmp_path: Path, base: NanoDetBase) -> None:
    others = [{"id": 1, "name": "stone"}, {"id": 2, "name": "tile"}]
    one, same, other_picture, other_names = (
        taken(folder, folder / "run", base).version
        for folder in (
            coco(tmp_path / "a", 1),
            coco(tmp_path / "b", 1),
            coco(tmp_path / "c", 1, first=1),
            changed(coco(tmp_path / "d", 1), categories=others),
        )
    )

    assert one == same
    assert len({one, other_picture, other_names}) == 3


def test_one_class_is_taught_where_one_is_chosen(tmp_path: Path, base: NanoDetBase) -> None:
    data = taken(coco(tmp_path / "data", 1), tmp_path / "run", base, "tile")

    assert data.classes == ("tile",)
    assert [one.class_ids.tolist() for one in data.examples] == [[0]]
    with pytest.raises(BadParameter, match="No object is marked as 'slate'") as raised:
        taken(tmp_path / "data", tmp_path / "run", base, "slate")
    assert raised.value.hint == "Marked are: brick, tile."


def test_labels_that_differ_in_capitals_are_one_class(tmp_path: Path, base: NanoDetBase) -> None:
    categories = [{"id": 1, "name": "Tile"}, {"id": 2, "name": "tile"}]

    data = taken(changed(coco(tmp_path / "data", 1), categories=categories), tmp_path / "run", base)

    assert len(data.classes) == 1
    assert any("are taught as one class" in remark for remark in data.remarks)


def test_a_damaged_picture_is_left_out_and_named(tmp_path: Path, base: NanoDetBase) -> None:
    folder = coco(tmp_path / "data", 3)
    whole = (folder / "images/1.png").read_bytes()
    (folder / "images/1.png").write_bytes(whole[: len(whole) // 2])

    data = taken(folder, tmp_path / "run", base)

    assert [one.name for one in data.examples] == ["images/0.png", "images/2.png"]
    assert any("images/1.png" in remark for remark in data.remarks)


def test_pictures_without_an_object_teach_nothing(tmp_path: Path, base: NanoDetBase) -> None:
    with pytest.raises(BadTrainingData, match="No object is marked"):
        taken(changed(coco(tmp_path / "data", 2), annotations=[]), tmp_path / "run", base)


def street(folder: Path, pictures: Path, base: NanoDetBase, marked: int) -> Path:
    """Write a picture of a street in which so many of its cars are marked as wagons."""
    data = (pictures / "street.jpg").read_bytes()
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "street.jpg").write_bytes(data)
    pixels, info = decode.decode(data, LIMITS)
    cars = base.detector().detect(pixels).only(["car"]).boxes[:marked].tolist()
    form = {
        "images": [{"id": 1, "file_name": "street.jpg", "width": info.width, "height": info.height}],
        "categories": [{"id": 1, "name": "wagon"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
            for n, (x1, y1, x2, y2) in enumerate(cars)
        ],
    }
    (folder / "instances.json").write_text(json.dumps(form))
    return folder


def test_a_class_stands_for_the_one_that_the_base_takes_its_objects_for(
    tmp_path: Path, base: NanoDetBase, pictures: Path
) -> None:
    data = taken(street(tmp_path / "data", pictures, base, 3), tmp_path / "run", base)

    assert "car" in data.replaces["wagon"]
    assert data.examples[0].is_certain.all()


def test_what_the_base_is_sure_of_and_nobody_has_marked_is_uncertain_where_that_is_said(
    tmp_path: Path, base: NanoDetBase, pictures: Path
) -> None:
    folder = street(tmp_path / "data", pictures, base, 3)

    (one,) = taken(folder, tmp_path / "run", base, is_partly_marked=True).examples

    assert one.is_certain.sum() == 3
    assert 0 < (~one.is_certain).sum() <= 5
