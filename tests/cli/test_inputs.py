import os
from pathlib import Path, PurePath

import pytest

from flask_detector.cli.inputs import Input, find_inputs


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def make(*names: str, content: bytes = b"") -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


def paths(*arguments: str, leave_out: Path | None = None) -> list[str]:
    found, missed = find_inputs(arguments, leave_out=leave_out)
    assert missed == []
    return [str(one.path) for one in found]


def test_a_folder_gives_all_pictures_below_it_in_order() -> None:
    make("p/b.JPG", "p/a.webp", "p/sub/deep/c.heic", "p/notes.txt", "p/.hidden.jpg", "p/.cache/d.jpg")
    assert paths("p") == ["p/a.webp", "p/b.JPG", "p/sub/deep/c.heic"]
    found, _ = find_inputs(["p"])
    assert found[2].relative_path == PurePath("sub/deep/c.heic")


def test_content_counts_where_the_name_says_nothing(jpeg: bytes) -> None:
    make("p/download", "p/data.bin", content=jpeg)
    make("p/text.bin", content=b"text")
    assert paths("p") == ["p/data.bin", "p/download"]


def test_what_is_no_file_is_no_picture(jpeg: bytes) -> None:
    os.mkfifo("pipe.jpg")
    make("real.jpg", content=jpeg)
    Path("dangling.jpg").symlink_to("nowhere.jpg")
    Path("link.jpg").symlink_to("real.jpg")
    Path("loop").symlink_to(".")
    # The dangling one has a picture's name: that it can't be read is told when its turn comes.
    assert paths(".") == ["dangling.jpg", "link.jpg"]


def test_a_pattern_is_expanded_where_the_shell_left_it() -> None:
    make("a1.jpg", "a2.jpg", "b.jpg", "sub/a3.jpg")
    assert paths("a*.jpg") == ["a1.jpg", "a2.jpg"]
    assert paths("**/a?.jpg") == ["a1.jpg", "a2.jpg", "sub/a3.jpg"]
    assert paths("s*") == ["sub/a3.jpg"]


def test_a_name_with_the_signs_of_a_pattern_is_that_name_first() -> None:
    make("[1].jpg", "1.jpg")
    assert paths("[1].jpg") == ["[1].jpg"]


def test_each_picture_comes_once_however_often_it_is_named() -> None:
    make("p/a.jpg", "p/b.jpg")
    assert paths("p/b.jpg", "p", "p/*.jpg", "./p/a.jpg") == ["p/b.jpg", "p/a.jpg"]


def test_results_are_not_searched_for_pictures() -> None:
    make("p/a.jpg", "p/out/detected_a.jpg")
    assert paths("p", leave_out=Path("p/out")) == ["p/a.jpg"]


def test_what_there_is_not_is_told_by_its_name() -> None:
    make("a.jpg")
    found, missed = find_inputs(["missing.jpg", "a.jpg", "*.png"])
    assert len(found) == 1
    assert [(one.argument, one.error.message) for one in missed] == [
        ("missing.jpg", "There is no such file or folder."),
        ("*.png", "Nothing matches this pattern."),
    ]


def test_standard_input_is_one_picture() -> None:
    found, missed = find_inputs(["-", "-"])
    assert (found, missed) == ([Input(None, PurePath("stdin"))], [])
    assert str(found[0]) == "standard input"
