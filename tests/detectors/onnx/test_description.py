from pathlib import Path

import pytest

from flask_detector.detectors.onnx.description import Description, read_description
from flask_detector.errors import BadParameter


def read(tmp_path: Path, text: str) -> Description:
    (tmp_path / "model.yaml").write_text(text)
    return read_description(tmp_path / "model.onnx")


def test_where_there_is_none_nothing_is_said(tmp_path: Path) -> None:
    assert read_description(tmp_path / "model.onnx") == Description()


@pytest.mark.parametrize(
    "names",
    [
        "names: [bolt, 'nut']",
        "names:\n  0: bolt\n  1: nut",
        'labels:\n- bolt\n- "nut"',
        "names: bolt, nut  # of our factory",
    ],
)
def test_names_are_read_in_each_form(tmp_path: Path, names: str) -> None:
    assert list(read(tmp_path, f"---\n{names}\nbgr: true\n").labels) == ["bolt", "nut"]


def test_family_and_options_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, "# ours\nfamily: yolox\nsize: 416\nmean: [1, 2, 3]\n\nresize: stretch\n")
    assert found == Description("yolox", [], {"size": "416", "mean": "1, 2, 3", "resize": "stretch"})


@pytest.mark.parametrize("text", ["just words", "a: 1\n  b: 2", "? complex\n: key", "\0: x"])
def test_other_forms_of_yaml_are_refused_with_their_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadParameter, match=r"Line \d of model.yaml"):
        read(tmp_path, text)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.yml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BadParameter, match=r"model.yml can't be read"):
        read_description(tmp_path / "model.onnx")
