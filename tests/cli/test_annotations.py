"""The objects of a detection are corrected from the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flask_detector.cli import main
from flask_detector.client import Client
from tests.support.pictures import picture
from tests.support.stack import Stack


@pytest.fixture
def id(stack: Stack) -> str:
    client = Client(stack.url)
    collection = client.create_collection("Füchse")
    return f"{collection}/pictures/{client.add_to_collection(collection, picture(), 'a.jpg')[0]}"


def run(stack: Stack, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["annotations", *arguments, "--server", stack.url], input=stdin)


def test_what_was_got_is_saved_unless_it_was_changed_since(stack: Stack, id: str, tmp_path: Path) -> None:
    document = json.loads(run(stack, "get", id).stdout)
    document["objects"] = [{"id": "a", "label": "狐", "box": [1, 2, 30, 40]}]
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document))
    saved = run(stack, "put", id, str(file))
    assert (saved.exit_code, saved.stderr) == (0, "1 objects are saved.\n")
    assert [one["label"] for one in json.loads(run(stack, "get", id).stdout)["objects"]] == ["狐"]
    document["objects"] = []
    late = run(stack, "put", id, "-", stdin=json.dumps(document))
    assert (late.exit_code, "changed" in late.stderr) == (1, True)
    assert run(stack, "put", id, "-", "--force", stdin=json.dumps(document)).exit_code == 0
    assert json.loads(run(stack, "get", id).stdout)["objects"] == []


def test_what_is_wrong_is_named(stack: Stack, id: str) -> None:
    wrong = {"version": 1, "width": 64, "height": 48, "objects": [{"id": "a", "label": "cat", "box": [1, 2]}]}
    answer = run(stack, "put", id, "-", "--force", stdin=json.dumps(wrong))
    assert (answer.exit_code, "objects[0].box" in answer.stderr) == (1, True)
    assert "no etag" in run(stack, "put", id, "-", stdin="{}").stderr
    assert "is not JSON" in run(stack, "put", id, "-", stdin="{").stderr
    assert run(stack, "get", "0" * 32).exit_code == 1
