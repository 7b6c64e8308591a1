"""The Python API: each public name is documented, and each example runs."""

import doctest
import io
import re
import shutil
import types
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from PIL import Image

import flask_detector
from flask_detector import Client, Detections, Instance, Mask, PictureDetector, api, client, errors, formats
from flask_detector.client.teaching import Teaching
from flask_detector.formats import dataset
from tests.support.stack import Stack

PAGE = Path(__file__).parents[2] / "docs" / "python.md"

# What a section of the page describes, by its heading.
DESCRIBED: dict[str, Any] = {
    "flask_detector": flask_detector,
    "Client.teaching": Teaching,
    "flask_detector.formats": formats,
    "flask_detector.formats.dataset": dataset,
    **{one.__name__: one for one in (PictureDetector, Detections, Instance, Mask, Client)},
}

# The address that examples name.
SERVER = "http://127.0.0.1:5000"


def members(described: Any) -> set[str]:
    """Return the public names of a module or a class."""
    if isinstance(described, types.ModuleType):
        return set(described.__all__)
    names = {*vars(described), *dir(described), *getattr(described, "__dataclass_fields__", ())}
    if described is Client:
        names.add("url")
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("heading", DESCRIBED)
def test_the_page_names_what_is_public_and_nothing_else(heading: str) -> None:
    (section,) = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    documented = re.findall(r"`(\w+)", " ".join(cells))
    assert sorted(documented) == sorted(members(DESCRIBED[heading]))


def test_every_public_name_can_be_imported() -> None:
    for module in (flask_detector, formats, dataset):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = flask_detector.nothing


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    assert errors.__doc__ is not None
    drawn, branch = [], [""]
    for line in re.findall(r"^    ([│├└─ ]*)(\w+)", errors.__doc__, re.MULTILINE):
        depth = len(line[0]) // 4
        branch[depth + 1 :] = [line[1]]
        drawn.append((branch[depth], line[1]))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in kinds if issubclass(kind, errors.DetectorError)]
    assert sorted(drawn[1:]) == sorted((k.__base__.__name__, k.__name__) for k in kinds[1:] if k.__base__)
    assert drawn[0] == ("", "DetectorError")


@pytest.fixture
def _street(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a picture to work in."""
    shutil.copy(pictures / "street.jpg", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DETECTOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(Image.Image, "show", lambda _: None)


EXAMPLES = {
    test.name: test
    for module in (api, client, formats)
    for test in doctest.DocTestFinder().find(module)
    if test.examples
}


def test_what_is_public_has_an_example() -> None:
    assert {name.rpartition(".")[2] for name in EXAMPLES} >= {
        "load_detector",
        "PictureDetector",
        "Detections",
        "Client",
        "formats",
    }


@pytest.mark.usefixtures("_street")
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_docstrings_give_what_they_say(name: str, stack: Stack) -> None:
    test, printed = EXAMPLES[name], io.StringIO()
    for example in test.examples:
        example.source = example.source.replace(SERVER, stack.url)
    failed, _ = doctest.DocTestRunner().run(test, out=printed.write)
    assert not failed, printed.getvalue()


@pytest.mark.usefixtures("_street")
def test_the_examples_of_the_page_run(stack: Stack) -> None:
    blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", PAGE.read_text(), re.MULTILINE)
    assert len(blocks) >= 3
    program = dedent("".join(blocks)).replace(SERVER, stack.url)
    exec(compile(program, str(PAGE), "exec"), {})
    assert {"drawn.jpg", "found.json", "photos.zip"} <= {path.name for path in Path().iterdir()}
