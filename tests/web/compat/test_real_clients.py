"""The very clients that people have, over a connection, against a running installation."""

import base64
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.stack import Stack

Call = Callable[..., Any]
While = Callable[[Callable[[], TestResponse]], TestResponse]

SCRIPTS = Path(__file__).parent / "scripts"
PROJECT = Path(__file__).parents[3]


def output_of(python: Path | str, script: str, *arguments: str) -> Any:
    """Return the JSON that a client's script prints."""
    return printed([str(python), str(SCRIPTS / f"with_{script}.py"), *arguments])


def printed(command: list[str]) -> Any:
    """Return the JSON that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def picture(pictures: Path) -> str:
    return str(pictures / "street.jpg")


@pytest.fixture
def expected(call: Call, street: bytes) -> list[dict[str, Any]]:
    """What is found over 0.4, in DeepStack's form."""
    predictions: list[dict[str, Any]] = call("POST", "/v1/vision/detection", street).json["predictions"]
    assert len(predictions) > 5
    return predictions


@pytest.mark.parametrize(
    ("script", "times"), [("deepstack_python", 3), ("codeproject_ai_api", 3), ("aiohttp", 4)]
)
def test_small_clients_of_deepstack(
    stack: Stack, picture: str, expected: list[dict[str, Any]], script: str, times: int
) -> None:
    assert output_of(sys.executable, script, stack.url, picture) == [expected] * times


@pytest.mark.slow
def test_deepstack_sdk(
    stack: Stack, picture: str, expected: list[dict[str, Any]], clients_python: Path
) -> None:
    assert output_of(clients_python, "deepstack_sdk", stack.url, picture) == [expected] * 2


def test_pydoods(stack: Stack, picture: str, expected: list[dict[str, Any]]) -> None:
    by_default, by_name = output_of(sys.executable, "pydoods", stack.url, picture)
    assert by_default == by_name
    for one, other in zip(by_default, expected, strict=True):
        assert one["label"] == other["label"]
        assert one["confidence"] == pytest.approx(other["confidence"] * 100, abs=0.001)
        assert round(one["left"] * 1200) == other["x_min"]
        assert round(one["bottom"] * 726) == other["y_max"]


def test_tritonclient(stack: Stack, picture: str, expected: list[dict[str, Any]]) -> None:
    answers = output_of(sys.executable, "tritonclient", stack.url, picture)
    assert answers
    for found in answers:
        for (label, score, x1, _, _, y2), other in zip(found, expected, strict=True):
            assert (label, round(x1), round(y2)) == (other["label"], other["x_min"], other["y_max"])
            assert score == pytest.approx(other["confidence"], abs=1e-5)


def test_huggingface_hub(stack: Stack, picture: str, expected: list[dict[str, Any]]) -> None:
    wanted = [one for one in expected if one["confidence"] >= 0.5]
    answers = output_of(sys.executable, "huggingface_hub", stack.url, picture)
    assert answers
    for found in answers:
        for one, other in zip(found, wanted, strict=True):
            assert (one["label"], one["score"]) == (other["label"], other["confidence"])
            assert one["box"] == {
                side.replace("_", ""): other[side] for side in ("x_min", "y_min", "x_max", "y_max")
            }


def test_huggingface_inference_of_javascript(
    stack: Stack, picture: str, expected: list[dict[str, Any]]
) -> None:
    node = shutil.which("node")
    if node is None or not (PROJECT / "node_modules" / "@huggingface" / "inference").exists():
        pytest.skip("node or @huggingface/inference is not installed: npm install")
    wanted = [one["label"] for one in expected if one["confidence"] >= 0.5]
    script = SCRIPTS / "with_huggingface_inference.mjs"
    for found in printed([node, str(script), stack.url, picture]):
        assert [one["label"] for one in found] == wanted


@pytest.mark.slow
def test_inference_sdk(
    stack: Stack, picture: str, expected: list[dict[str, Any]], clients_python: Path
) -> None:
    answers = output_of(clients_python, "inference_sdk", stack.url, picture)
    assert len(answers) == 8
    for found in answers:
        for one, other in zip(found, expected, strict=True):
            assert (one["class"], one["confidence"]) == (other["label"], other["confidence"])
            assert round(one["x"] - one["width"] / 2) == pytest.approx(other["x_min"], abs=1)


@pytest.mark.slow
def test_label_studio_sdk(
    app: Flask, masked: str, small: bytes, while_working: While, tmp_path: Path, readers_python: Path
) -> None:
    labels = '<Label value="Dog"/><Label value="cat"/>'
    image = f"data:image/png;base64,{base64.b64encode(small).decode()}"
    forms = []
    for control in ("RectangleLabels", "PolygonLabels", "BrushLabels", "Rectangle", "Polygon"):
        tags = f'<{control} name="shape" toName="img">{labels}</{control}>'
        if not control.endswith("Labels"):
            tags = (
                f'<Labels name="label" toName="img">{labels}</Labels><{control} name="shape" toName="img"/>'
            )
        label_config = f'<View><Image name="img" value="$image"/>{tags}</View>'
        body = {"tasks": [{"id": 1, "data": {"image": image}}], "label_config": label_config}
        answer = while_working(partial(app.test_client().post, "/predict", json=body))
        assert answer.json is not None
        forms.append({"label_config": label_config, "prediction": answer.json["results"][0]})
    file = tmp_path / "predictions.json"
    file.write_text(json.dumps(forms))
    judged = output_of(readers_python, "label_studio_sdk", str(file))
    assert [one["errors"] for one in judged] == [[]] * 5
    assert [one["regions"] for one in judged] == [2, 3, 2, 4, 6]  # the cat has two parts
    assert [one["inside"] for one in judged] == [[], [], [96, 40], [], []]


def test_each_small_client_is_installed_with_what_tests_need() -> None:
    modules = ("aiohttp", "codeprojectai", "deepstack", "huggingface_hub", "pydoods", "tritonclient")
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []
