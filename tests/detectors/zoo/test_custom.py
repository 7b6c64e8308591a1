"""What a user says of a model of their own on the command line."""

from pathlib import Path

import pytest

from flask_detector.detectors.zoo.custom import labels_from, options_from
from flask_detector.errors import BadParameter


def test_names_of_classes_are_separated_by_commas_or_stand_in_a_file(tmp_path: Path) -> None:
    assert labels_from("cat, dog,bird") == ("cat", "dog", "bird")
    assert labels_from("cat") == ("cat",)
    file = tmp_path / "labels.txt"
    file.write_bytes("\ufeffcat\r\nsea lion\r\nnaïve\r\n\r\n".encode())
    assert labels_from(str(file)) == ("cat", "sea lion", "naïve")


@pytest.mark.parametrize(
    "text", ['["cat", "sea, lion"]', '{"10": "sea, lion", "9": "cat"}', "cat\nsea, lion"]
)
def test_a_file_of_names_may_be_json(text: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text(text)
    assert labels_from(str(file)) == ("cat", "sea, lion")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a\n" * 600_000, b"", b" \n\n"])
def test_a_file_that_is_no_list_of_names_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "labels.bin"
    file.write_bytes(content)
    with pytest.raises(BadParameter, match=r"labels\.bin"):
        labels_from(str(file))


def test_options_are_written_with_an_equals_sign() -> None:
    assert options_from(["min_size=640", "image_mean = 1,2,3"]) == {"min_size": "640", "image_mean": "1,2,3"}
    with pytest.raises(BadParameter, match="'min_size' is not an option"):
        options_from(["min_size"])
