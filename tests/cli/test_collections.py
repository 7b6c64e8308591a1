"""Data sets go into a collection of a server from the command line."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest
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


def test_a_collection_is_made_filled_changed_exported_and_deleted(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = [sys.executable, "-m", "flask_detector", "keys", "create"]
    environment = {"DETECTOR_DATA_DIR": str(stack.data_dir), "PATH": ""}
    made = subprocess.run(key, env=environment, capture_output=True, text=True, check=True)
    monkeypatch.setenv("DETECTOR_API_KEY", made.stdout.strip())

    def run(*arguments: str, status: int = 0) -> str:
        answer = CliRunner().invoke(main, ["collections", *arguments, "--server", stack.url])
        assert answer.exit_code == status, answer.output
        return answer.stdout.strip()

    id = run("create", "Füchse 狐", "--class", "Hund")
    assert f"{id}        0  Füchse 狐" in run("list")
    for name in ("a 狐.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(picture(name))
    (tmp_path / "c.jpg").write_text("no picture")
    added = run("add", id, *(str(tmp_path / name) for name in ("a 狐.jpg", "b.jpg", "c.jpg")), status=1)
    assert added.count(": added") == 2
    assert run("split", id, "--validation", "0.5") == "train 1, val 1"
    assert run("rename-class", id, "Hund", "犬") == "Changed 0 pictures."
    run("rename", id, "Neu")
    assert "classes: 犬 0" in run("show", id)
    run("remove-class", id, "犬")
    run("remove-class", id, "犬", status=1)
    assert "犬" not in run("show", id)
    out = tmp_path / "out.zip"
    run("export", id, str(out), "--format", "yolo", "--split", "val")
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if name.startswith("images/val/")]) == 1
    run("export", id, str(tmp_path / "no folder" / "out.zip"), status=1)
    assert "/shared/collections/" in run("share", id, "--edit")
    assert run("share", id, "--edit", "--stop") == ""
    run("delete", id, "--yes")
    run("show", id, status=1)
    assert list(tmp_path.glob(".*part")) == []


def test_what_a_model_is_least_sure_of_is_listed_first(stack: Stack, pictures: Path, tmp_path: Path) -> None:
    client = Client(stack.url)
    id = client.create_collection("Streets")
    (tmp_path / "grey.png").write_bytes(picture())
    for path in (tmp_path / "grey.png", pictures / "street.jpg"):
        client.add_to_collection(id, path.read_bytes(), path.name)
    arguments = ["collections", "unsure", id, "--state", "unseen", "--server", stack.url]
    answer = CliRunner().invoke(main, [*arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    found = [(one["filename"], one["doubt"]) for one in json.loads(answer.stdout)]
    assert found[0][0] == "street.jpg"
    assert found[0][1] > 0.5
    assert f"{found[0][1]:7.2f}  " in CliRunner().invoke(main, arguments).stdout
    refused = CliRunner().invoke(main, [*arguments, "--model", "nonsense"])
    assert (refused.exit_code, "nonsense" in refused.stderr) == (1, True)
