import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from flask_detector.cli import main
from flask_detector.evaluation import evaluate, read_annotations
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("DETECTOR_OFFLINE", "1")

    def invoke(annotations: Path, images: Path, *options: str) -> Any:
        command = ["evaluate", "--annotations", str(annotations), "--images", str(images)]
        return CliRunner().invoke(main, [*command, "--model", "nanodet-g", *options])

    return invoke


@pytest.fixture
def sample(shared: Path) -> Path:
    return shared / "coco_val50"


def write(path: Path, form: Any) -> Path:
    path.write_text(json.dumps(form))
    return path


def data_set(annotations: list[dict[str, Any]], *, categories: tuple[str, ...] = ("Cat",)) -> dict[str, Any]:
    return {
        "images": [{"id": 5, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 10 * (i + 1), "name": name} for i, name in enumerate(categories)],
        "annotations": [
            {"id": i + 1, "image_id": 5, "category_id": 10, **one} for i, one in enumerate(annotations)
        ],
    }


def found(*boxes: tuple[int, int, int, int], masks: bool = False) -> Detections:
    return Detections(
        width=64,
        height=48,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.linspace(0.9, 0.5, len(boxes), dtype=np.float32),
        class_ids=np.zeros(len(boxes), np.int64),
        labels=("cat", "dog"),
        model="m",
        masks=tuple(
            Mask.from_bitmap(np.ones((y2 - y1, x2 - x1), bool), x=x1, y=y1) for x1, y1, x2, y2 in boxes
        )
        if masks
        else None,
    )


@pytest.mark.slow
def test_the_embedded_model_reaches_its_ap_on_coco(run: Callable[..., Any], sample: Path) -> None:
    form = json.loads(run(sample / "instances.json", sample / "images", "--json").stdout)
    assert form["pictures"] == 50
    assert form["bbox"]["AP"] == pytest.approx(0.316, abs=0.005)
    assert len(form["bbox"]["categories"]) == 80
    assert "segm" not in form


def test_a_table_names_the_model_and_each_figure(run: Callable[..., Any], sample: Path) -> None:
    answer = run(sample / "instances.json", sample / "images", "--limit", "2", "--categories")
    assert answer.exit_code == 0
    assert "nanodet-g on 2 pictures" in answer.stdout
    assert re.search(r"^AP +0\.\d{3}   average precision", answer.stdout, re.MULTILINE)
    assert re.search(r"^potted plant +(0\.\d{3}|-|1\.000)$", answer.stdout, re.MULTILINE)


def test_a_picture_that_is_missing_or_of_another_size_is_left_out_and_told(
    run: Callable[..., Any], sample: Path, tmp_path: Path
) -> None:
    form = json.loads((sample / "instances.json").read_text())
    form["images"] = sorted(form["images"], key=lambda image: image["id"])[:3]
    names = [image["file_name"] for image in form["images"]]
    shutil.copy(sample / "images" / names[0], tmp_path / names[0])
    shutil.copy(sample / "images" / names[1], tmp_path / names[1])
    form["images"][1]["width"] += 1
    answer = run(write(tmp_path / "a.json", form), tmp_path, "--json")
    assert answer.exit_code == 1
    assert (json.loads(answer.stdout)["pictures"], json.loads(answer.stdout)["failed"]) == (1, 2)
    assert f"{names[1]}: The picture is" in answer.stderr
    assert f"{names[2]}: The file can't be read" in answer.stderr


def test_a_folder_without_any_of_the_pictures_ends_it(run: Callable[..., Any], tmp_path: Path) -> None:
    answer = run(write(tmp_path / "a.json", data_set([])), tmp_path)
    assert answer.exit_code == 1
    assert "No picture could be used." in answer.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read"),
        ("{", "is not JSON"),
        ("[]", "is not a COCO data set"),
        ('{"images": [], "annotations": [], "categories": []}', "no images or no categories"),
        (
            '{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
            "is not a COCO",
        ),
    ],
)
def test_annotations_that_can_not_be_used_say_why(
    run: Callable[..., Any], tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    answer = run(path, tmp_path)
    assert answer.exit_code == 1
    assert words in answer.stderr
    assert "Traceback" not in answer.output


def test_without_pycocotools_it_says_how_to_get_it(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    answer = run(write(tmp_path / "a.json", data_set([])), tmp_path)
    assert answer.exit_code == 1
    assert "pip install 'flask-detector[evaluate]'" in answer.stderr


def test_categories_are_matched_by_name_and_unknown_ones_left_out(tmp_path: Path) -> None:
    form = data_set([{"bbox": [1, 2, 20, 30]}], categories=("Cat", "unicorn"))
    annotations = read_annotations(write(tmp_path / "a.json", form))
    result = evaluate(annotations, {5: found((1, 2, 21, 32))}, ("cat", "dog"), has_masks=False)
    assert result.figures["bbox"]["AP"] == pytest.approx(1.0)
    assert result.figures["bbox"]["APl"] is None
    assert result.categories == {"bbox": {"Cat": pytest.approx(1.0)}}
    assert result.without_class == ["unicorn"]


def test_no_common_category_is_told_before_anything_is_done(run: Callable[..., Any], tmp_path: Path) -> None:
    answer = run(write(tmp_path / "a.json", data_set([], categories=("unicorn",))), tmp_path)
    assert answer.exit_code == 1
    assert "None of the categories is a class of the model." in answer.stderr


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    crowd = {"size": [48, 64], "counts": [40 * 48, 24 * 48]}
    form = data_set(
        [
            {"bbox": [1, 2, 20, 30], "segmentation": [[1, 2, 21, 2, 21, 32, 1, 32]]},
            {"bbox": [40, 0, 24, 48], "iscrowd": 1, "segmentation": crowd, "area": 24 * 48},
        ]
    )
    annotations = read_annotations(write(tmp_path / "a.json", form))
    in_crowd = found((45, 5, 50, 10), (1, 2, 21, 32), masks=True)
    result = evaluate(annotations, {5: in_crowd}, ("cat", "dog"), has_masks=True)
    assert result.figures["bbox"]["AP"] == result.figures["segm"]["AP"] == pytest.approx(1.0)
    beside = found((22, 5, 30, 10), (1, 2, 21, 32), masks=True)
    result = evaluate(annotations, {5: beside}, ("cat", "dog"), has_masks=True)
    assert result.figures["bbox"]["AP"] == result.figures["segm"]["AP"] == pytest.approx(0.5)


def test_nothing_found_is_a_figure_of_0(tmp_path: Path) -> None:
    annotations = read_annotations(write(tmp_path / "a.json", data_set([{"bbox": [1, 2, 20, 30]}])))
    result = evaluate(annotations, {5: found()}, ("cat", "dog"), has_masks=False)
    assert result.figures["bbox"]["AP"] == 0


def test_masks_are_not_measured_where_the_annotations_have_none(tmp_path: Path) -> None:
    annotations = read_annotations(write(tmp_path / "a.json", data_set([{"bbox": [1, 2, 20, 30]}])))
    result = evaluate(annotations, {5: found((1, 2, 21, 32), masks=True)}, ("cat",), has_masks=True)
    assert list(result.figures) == ["bbox"]
