"""A picture in whatever form there is, and what its detections do in a script or a notebook."""

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import flask_detector
from flask_detector.api import Detections, PictureDetector, Source, reader_of
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.errors import DamagedPicture, NotAPicture
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.settings import Settings
from flask_detector.structures.masks import Mask

LIMITS = Limits(10_000_000, 10_000_000)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> PictureDetector:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), offline=True)
    return flask_detector.load_detector("nanodet-g", settings=settings)


def detections(*labels: str, masks: bool = False) -> Detections:
    """One instance of each label, side by side in a picture of 40 by 10 pixels for each."""
    count = len(labels)
    return Detections(
        width=40 * count,
        height=10,
        boxes=np.array([[40 * i, 0, 40 * i + 20, 10] for i in range(count)], np.float32),
        scores=np.linspace(0.9, 0.5, count, dtype=np.float32),
        class_ids=np.arange(count),
        labels=labels,
        model="a-model",
        masks=tuple(Mask.from_bitmap(np.ones((5, 7), bool), x=40 * i) for i in range(count))
        if masks
        else None,
    )


def test_every_form_of_a_picture_gives_the_same_detections(detector: PictureDetector, pictures: Path) -> None:
    path = pictures / "street.jpg"
    data = path.read_bytes()
    pixels, _ = decode.decode(data, LIMITS)
    with path.open("rb") as file, Image.open(path) as image:
        forms: list[Source] = [str(path), path, data, file, io.BytesIO(data), image, pixels]
        found = [detector.detect(form, min_score=0.5) for form in forms]
    assert found[0].counts()["car"] >= 2
    for other in found[1:]:
        np.testing.assert_array_equal(other.boxes, found[0].boxes)
        np.testing.assert_array_equal(np.asarray(other.draw()), np.asarray(found[0].draw()))
    assert next(iter(found[0].timings)) == "decode"


def test_a_picture_is_seen_upright_in_each_form(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.new("RGB", (60, 20)).save(path, exif=exif)
    with Image.open(path) as image:
        shapes = [reader_of(form, LIMITS)(None).array().shape for form in (path, path.read_bytes(), image)]
    assert shapes == [(60, 20, 3)] * 3


def test_an_array_is_used_without_a_copy() -> None:
    pixels = np.zeros((8, 9, 3), np.uint8)
    assert reader_of(pixels, LIMITS)(None).array() is pixels


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((8, 9), np.uint8), r"shape \(8, 9\)"),
        (np.zeros((8, 9, 4), np.uint8), r"\(8, 9, 4\)"),
        (np.zeros((8, 9, 3), np.float32), "float32"),
        (np.zeros((0, 9, 3), np.uint8), r"\(0, 9, 3\)"),
        (17, "int"),
        (None, "NoneType"),
        (io.StringIO("text"), "'rb'"),
    ],
)
def test_what_is_no_picture_says_what_would_be_one(source: Source, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        reader_of(source, LIMITS)


def test_a_file_that_cannot_be_used_raises_its_own_error(tmp_path: Path, jpeg: bytes) -> None:
    with pytest.raises(FileNotFoundError):
        reader_of(tmp_path / "missing.jpg", LIMITS)(None)
    with pytest.raises(NotAPicture):
        reader_of(b"no picture", LIMITS)(None)
    with pytest.raises(DamagedPicture):
        reader_of(jpeg[: len(jpeg) // 2], LIMITS)(None)


def test_draw_finds_the_picture_again_by_its_path_only(
    detector: PictureDetector, tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cat.jpg").write_bytes(jpeg)
    found = detector.detect("cat.jpg")
    monkeypatch.chdir("/")
    assert found.draw().size == (64, 48)
    (tmp_path / "cat.jpg").unlink()
    with pytest.raises(FileNotFoundError):
        found.draw()


def test_draw_without_any_picture_says_so() -> None:
    with pytest.raises(ValueError, match="give it"):
        detections("cat").draw()
    assert detections("cat").draw(np.zeros((10, 40, 3), np.uint8)).size == (40, 10)


def test_only_the_asked_for_classes_are_kept() -> None:
    found = detections("cat", "dog", "cow")
    assert list(found.only(["dog", "cow"]).counts()) == ["cow", "dog"]
    assert found.only(["cat"]).picture is found.picture


def test_to_coco_has_the_ids_of_coco() -> None:
    found = detections(*COCO_LABELS, masks=True)
    entries = found.to_coco(image_id=7)
    assert [entry["category_id"] for entry in entries[:13]] == [*range(1, 12), 13, 14]
    assert entries[-1]["category_id"] == 90
    assert entries[1]["bbox"] == [40.0, 0.0, 20.0, 10.0]
    assert entries[0]["image_id"] == 7
    assert entries[0]["segmentation"]["size"] == [10, 40 * 80]


def test_to_supervision_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'flask-detector[supervision]'")):
        detections("cat").to_supervision()


def test_save_writes_what_the_suffix_says(detector: PictureDetector, tmp_path: Path, jpeg: bytes) -> None:
    found = detector.detect(jpeg)
    for suffix in (".jpg", ".png", ".webp", ".tif"):
        found.save(tmp_path / f"drawn{suffix}")
        with Image.open(tmp_path / f"drawn{suffix}") as drawn:
            assert drawn.size == (64, 48)
    found.save(str(tmp_path / "found.json"))
    form = json.loads((tmp_path / "found.json").read_text())
    assert Detections.from_json(form).to_json() == found.to_json()
    found.save(tmp_path / "any.thing", format="coco")
    assert json.loads((tmp_path / "any.thing").read_text())["categories"][79]["id"] == 90
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.parametrize(
    ("name", "format", "words"),
    [
        ("a.txt", None, "does not tell"),
        ("a.heic", None, r"does not tell what to write: end it in \.jpg"),
        ("a.json", "pascal", "no format 'pascal'"),
    ],
)
def test_save_says_what_it_can_write(tmp_path: Path, name: str, format: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        detections("cat").save(tmp_path / name, format)
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_the_picture_and_a_table(detector: PictureDetector, pictures: Path) -> None:
    html = detector.detect(pictures / "street.jpg")._repr_html_()
    assert 'src="data:image/jpeg;base64,' in html
    assert "<td>car</td>" in html
    assert len(html) < 1_000_000


def test_a_notebook_shows_the_table_where_there_is_no_picture() -> None:
    html = detections("cat", masks=True)._repr_html_()
    assert "<img" not in html
    assert "<td>cat</td><td>90.0%</td><td>0</td><td>0</td><td>20</td><td>10</td><td>35</td>" in html
    assert "<table" not in detections("cat").over(1.0)._repr_html_()


def test_a_notebook_runs_nothing_that_a_label_says() -> None:
    html = detections("<script>alert(1)</script>", "a & b")._repr_html_()
    assert "<script" not in html
    assert "a &amp; b" in html


def test_a_notebook_is_not_flooded() -> None:
    html = detections(*(f"label {i}" for i in range(70)))._repr_html_()
    assert html.count("<tr>") == 51
    assert "and 20 more" in html
