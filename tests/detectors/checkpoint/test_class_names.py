"""Class names come from the user or the file; COCO's only where nothing says otherwise."""

import json
from typing import Any

import pytest

from flask_detector.detectors.checkpoint.class_names import class_names
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.errors import BadParameter

PETS = ("cat", "dog", "bird")
OTHER_CONFIG = "data_root = 'data/parts/'\ndataset_type = 'CocoDataset'"
COCO_CONFIG = "data_root = 'data/coco/'\ndataset_type = 'CocoDataset'"

FORMS: dict[str, Any] = {
    "a list": {"classes": ["cat", "dog", "bird"]},
    "a tuple in MMDetection 2": {"meta": {"CLASSES": PETS}},
    "MMDetection 3": {"meta": {"dataset_meta": {"classes": PETS, "palette": [(1, 2, 3)]}}},
    "in the configuration": {"meta": {"cfg": "metainfo = dict(classes=('cat', 'dog', 'bird', ))"}},
    "a background first": {"class_names": ["__background__", *PETS]},
    "a background last": {"names": [*PETS, "background"]},
    "ids from 0": {"names": {0: "cat", 1: "dog", 2: "bird"}},
    "ids from 1": {"id2label": {1: "cat", 2: "dog", 3: "bird"}},
    "ids in texts": {"id2label": {"2": "bird", "0": "cat", "1": "dog"}},
    "ids with the background": {"id2label": {0: "background", 1: "cat", 2: "dog", 3: "bird"}},
    "names to ids": {"label2id": {"cat": 1, "bird": 3, "dog": 2}},
    "COCO's categories": {"categories": [{"id": i, "name": n} for i, n in zip((3, 7, 9), PETS, strict=True)]},
    "JSON in safetensors' metadata": {"id2label": json.dumps({0: "cat", 1: "dog", 2: "bird"})},
    "a JSON configuration": {"config": json.dumps({"names": PETS})},
    "commas": {"names": "cat, dog,bird"},
    "lines": {"data": {"names": "cat\ndog\nbird\n"}},
    "Lightning": {"hyper_parameters": {"lr": 0.1, "class_names": PETS}},
    "Detectron2": {"metadata": {"thing_classes": list(PETS)}},
    "one that fits after one that does not": {"meta": {"CLASSES": COCO_LABELS}, "classes": PETS},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("background_first", [False, True])
def test_names_in_the_file_are_found(form: str, *, background_first: bool) -> None:
    found = class_names(FORMS[form], 3, background_first=background_first)
    assert found.labels == PETS
    assert found.classes == (0, 1, 2)
    assert found.note == "The class names come from the file."


def test_ids_with_gaps_are_the_networks_own() -> None:
    found = class_names({"id2label": {1: "cat", 3: "bird"}}, 3, background_first=True)
    assert found.labels == ("cat", "class 2", "bird")


def test_names_that_are_given_count_more_than_those_in_the_file() -> None:
    found = class_names({"classes": PETS}, 3, given=["a", "b", "c"], background_first=True)
    assert found.labels == ("a", "b", "c")
    with_background = class_names({}, 2, given=["__background__", "a", "b"], background_first=True)
    assert with_background.labels == ("a", "b")


def test_another_number_of_given_names_is_refused() -> None:
    with pytest.raises(BadParameter, match="has 3 classes, and 2 names are given"):
        class_names({}, 3, given=["a", "b"], background_first=False)


@pytest.mark.parametrize("meta", [{}, {"classes": 80}, {"names": "coco"}, {"args": {"classes": None}}])
def test_as_many_classes_as_coco_have_its_names_where_nothing_says_otherwise(meta: dict[str, Any]) -> None:
    found = class_names(meta, 80, background_first=False)
    assert found.labels == COCO_LABELS
    assert "nothing in the file says otherwise" in found.note
    assert "--labels" in found.note


def test_a_file_that_says_coco_is_believed() -> None:
    found = class_names({"meta": {"cfg": COCO_CONFIG}}, 80, background_first=False)
    assert found.labels == COCO_LABELS
    assert "the file says" in found.note
    categories = ["person", *["N/A" if i in {12, 26} else f"thing {i}" for i in range(2, 91)]]
    assert class_names({"classes": categories}, 90, background_first=True).labels[:80] == COCO_LABELS


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        ({"meta": {"CLASSES": PETS}}, "3 names for 80 classes"),
        ({"meta": {"cfg": OTHER_CONFIG}}, "was trained on data/parts/"),
        ({"args": {"dataset": "lvis"}}, "was trained on lvis"),
    ],
)
def test_eighty_classes_are_not_cocos_where_the_file_says_otherwise(meta: dict[str, Any], why: str) -> None:
    found = class_names(meta, 80, background_first=False)
    assert found.labels[:2] == ("class 1", "class 2")
    assert why in found.note


def test_only_torchvisions_heads_have_cocos_ninety_numbers() -> None:
    assert class_names({}, 90, background_first=True).labels[:80] == COCO_LABELS
    assert class_names({}, 90, background_first=False).labels[0] == "class 1"


@pytest.mark.parametrize(
    "meta",
    [
        {"names": {"a": "b"}, "classes": [1, 2, 3], "id2label": {1.5: "x"}, "categories": [{"id": 1}]},
        {"id2label": "{" * 5000, "names": '["a", 1]', "class_names": b"cat", "classes": [[], {}]},
        {"meta": {"cfg": "model = dict(" * 100}, "args": "cat", "config": 7, "names": {True: "cat"}},
    ],
)
def test_what_names_nothing_is_passed_over(meta: dict[str, Any]) -> None:
    assert class_names(meta, 3, background_first=False).labels == ("class 1", "class 2", "class 3")
