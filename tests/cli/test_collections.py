"""Data sets go into a collection of a server from the command line."""

import json
from pathlib import Path
from urllib.request import urlopen

from click.testing import CliRunner, Result

from flask_detector.cli import main
from flask_detector.client import Client
from tests.support.datasets import folder, zipped
from tests.support.pictures import picture
from tests.support.stack import Stack

SET = {
    "data.yaml": "names: [cat, 犬]",
    "train/images/a 猫.jpg": picture(),
    "train/labels/a 猫.txt": "1 0.5 0.5 0.25 0.5\n1 0.5 0.5\n",
    "val/images/b.jpg": picture("b"),
    "val/labels/b.txt": "0 0.5 0.5 1.25 0.5",
    "val/images/c.jpg": "no picture",
}


def run(stack: Stack, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["collections", "import", *arguments, "--server", stack.url])


def test_a_folder_goes_into_a_new_collection_and_again_into_the_same(stack: Stack, tmp_path: Path) -> None:
    root = str(folder(tmp_path / "My set", SET))
    answer = run(stack, root, "--json")
    form = json.loads(answer.stdout)
    assert (answer.exit_code, form["format"], form["pictures"], form["added"]) == (1, "YOLO", 2, 2)
    assert [one["name"] for one in form["left_out"]] == ["train/labels/a 猫.txt, line 2", "val/images/c.jpg"]
    assert [one["name"] for one in form["changed"]] == ["val/labels/b.txt, line 1"]
    client = Client(stack.url)
    with urlopen(f"{stack.url}/api/v1/collections/{form['collection']}/pictures") as answered:
        found = json.load(answered)
    assert [(one["filename"], one["split"]) for one in found["pictures"]] == [
        ("a 猫.jpg", "train"),
        ("b.jpg", "val"),
    ]
    document, version = client.annotations(f"{form['collection']}/pictures/{found['pictures'][0]['id']}")
    assert [(one["label"], one["box"]) for one in document["objects"]] == [("犬", [24, 12, 40, 36])]
    assert version
    again = run(stack, root, "--into", form["collection"])
    assert again.exit_code == 1
    assert "2 pictures of YOLO" in again.stdout
    assert "0 of them new" in again.stdout
    assert "val/images/c.jpg can't be used" in again.stderr


def test_a_zip_without_fault_ends_with_status_0(stack: Stack, tmp_path: Path) -> None:
    files = {name: content for name, content in SET.items() if name.startswith("data") or "b." in name}
    answer = run(stack, str(zipped(tmp_path / "set.zip", files)), "--name", "Füchse")
    assert answer.exit_code == 0, answer.output
    assert "Changed:\n  val/labels/b.txt, line 1 reached outside the picture" in answer.stderr


def test_what_is_no_data_set_and_unknown_collections_are_explained(stack: Stack, tmp_path: Path) -> None:
    empty = run(stack, str(folder(tmp_path / "empty", {"a.jpg": picture()})))
    assert (empty.exit_code, "holds no labels of a format" in empty.stderr) == (1, True)
    root = folder(tmp_path / "set", {"a.jpg": picture(), "a.txt": "0 0.5 0.5 0.25 0.5"})
    unknown = run(stack, str(root), "--into", "0" * 32)
    assert unknown.exit_code == 1
    assert "There is no such collection" in unknown.stderr
