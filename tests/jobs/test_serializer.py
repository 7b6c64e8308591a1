import json
import zlib
from pathlib import Path

import pytest

from flask_detector import load_detector
from flask_detector.jobs.serializer import Serializer


@pytest.mark.parametrize("value", [None, {}, [1, "x", None], "x" * 5000, {"ü": ["→"] * 2000}, 1.5])
def test_a_value_comes_back(value: object) -> None:
    assert Serializer.loads(Serializer.dumps(value)) == value


def test_short_values_can_be_read_by_whoever_looks_into_redis() -> None:
    assert Serializer.dumps({"filename": "cat.jpg"}) == b'{"filename":"cat.jpg"}'


def test_a_result_is_at_most_a_third_of_its_json(pictures: Path) -> None:
    form = load_detector("nanodet-g").detect(pictures / "apartment.jpg", min_score=0.05).to_json()
    assert len(Serializer.dumps(form)) < len(json.dumps(form)) / 3
    assert Serializer.loads(Serializer.dumps(form)) == form


def test_plain_json_of_any_length_can_be_read() -> None:
    assert Serializer.loads(json.dumps(["x"] * 1000).encode()) == ["x"] * 1000


@pytest.mark.parametrize("data", [b"", b"x", b"{", b"\x80\x04."])
def test_other_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises((ValueError, zlib.error)):
        Serializer.loads(data)


def test_what_json_does_not_know_is_an_error() -> None:
    with pytest.raises(TypeError):
        Serializer.dumps({"picture": b"bytes"})
