import os
from pathlib import Path, PurePath

import pytest

from flask_detector.atomic_files import write_whole
from flask_detector.cli.inputs import Input
from flask_detector.cli.output_folder import DRAWN, JOURNAL, OutputFolder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with pictures; what is in them does not matter here."""
    folder = tmp_path / "photos"
    for name in ("a.jpg", "a.png", "sub/a.jpg", "b.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"one")
    return folder


def found(folder: Path, name: str) -> Input:
    return Input(folder / name, PurePath(name))


def voc(tmp_path: Path, **options: object) -> OutputFolder:
    return OutputFolder(tmp_path / "out", kind="voc", suffix=".xml", options=options)


def test_what_is_done_stays_done_in_the_next_run(tmp_path: Path, pictures: Path) -> None:
    picture = found(pictures, "a.jpg")
    folder = voc(tmp_path, model="m")
    assert not folder.is_done(picture)
    assert folder.write(picture, b"result") == tmp_path / "out" / "a.xml"
    assert folder.is_done(picture)
    assert voc(tmp_path, model="m").is_done(picture)


def test_other_options_replace_the_file(tmp_path: Path, pictures: Path) -> None:
    picture = found(pictures, "a.jpg")
    voc(tmp_path, model="m").write(picture, b"old")
    again = voc(tmp_path, model="other")
    assert not again.is_done(picture)
    assert again.write(picture, b"new").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "out").glob("*.xml")] == ["a.xml"]
    assert not voc(tmp_path, model="m").is_done(picture)


@pytest.mark.parametrize("change", ["content", "time", "result"])
def test_what_has_changed_is_not_done(tmp_path: Path, pictures: Path, change: str) -> None:
    picture = found(pictures, "a.jpg")
    written = voc(tmp_path).write(picture, b"result")
    if change == "content":
        (pictures / "a.jpg").write_bytes(b"longer")
    elif change == "time":
        os.utime(pictures / "a.jpg", ns=(1, 1))
    else:
        written.unlink()
    assert not voc(tmp_path).is_done(picture)


def test_no_two_pictures_share_a_file(tmp_path: Path, pictures: Path) -> None:
    folder = voc(tmp_path)
    names = ["a.jpg", "a.png", "sub/a.jpg"]
    written = [folder.write(found(pictures, name), name.encode()) for name in names]
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == [
        "a.xml",
        "a-2.xml",
        "sub/a.xml",
    ]
    # Also when a later run knows only one of them.
    assert voc(tmp_path).write(found(pictures, "a.png"), b"new").name == "a-2.xml"
    other = Input(pictures / "b.jpg", PurePath("a.webp"))
    assert voc(tmp_path).write(other, b"other").name == "a-3.xml"


def test_a_file_that_is_not_ours_is_kept(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.xml").write_text("by hand")
    assert voc(tmp_path).write(found(pictures, "a.jpg"), b"result").name == "a-2.xml"
    assert (tmp_path / "out" / "a.xml").read_text() == "by hand"


def test_drawn_pictures_beside_the_originals_are_not_taken_for_pictures(pictures: Path) -> None:
    folder = OutputFolder(pictures, kind=DRAWN, suffix=None, options={})
    drawn = folder.write(found(pictures, "a.jpg"), b"drawn", suffix=".jpg")
    assert drawn.name == "detected_a.jpg"
    both = [found(pictures, "a.jpg"), found(pictures, "detected_a.jpg")]
    assert OutputFolder(pictures, kind=DRAWN, suffix=None, options={}).without_own(both) == both[:1]


def test_a_journal_that_broke_off_or_lies_does_no_harm(tmp_path: Path, pictures: Path) -> None:
    picture = found(pictures, "a.jpg")
    voc(tmp_path).write(picture, b"result")
    journal = tmp_path / "out" / JOURNAL
    good = journal.read_text()
    outside = good.replace('"a.xml"', '"../../photos/a.jpg"')
    journal.write_text(f'{outside}\n[1]\n{{"kind": 1}}\n\x00\n{good}{good[:40]}')
    assert voc(tmp_path).is_done(picture)
    journal.write_text(outside)
    assert voc(tmp_path).write(picture, b"new").parent == tmp_path / "out"
    assert (pictures / "a.jpg").read_bytes() == b"one"


def test_standard_input_is_written_and_never_counts_as_done(tmp_path: Path) -> None:
    picture = Input(None, PurePath("stdin"))
    folder = voc(tmp_path)
    assert folder.write(picture, b"result").name == "stdin.xml"
    assert not folder.is_done(picture)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def pieces() -> "list[bytes]":
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_whole(path, (piece for _ in range(2) for piece in pieces()))
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
    write_whole(path, iter([b"n", b"ew"]))
    assert path.read_bytes() == b"new"
