"""The files of a data set: hostile ZIPs, odd names, what lies beside them."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from flask_detector.datasets import files as files_module
from flask_detector.datasets import open_dataset
from flask_detector.errors import DatasetError, DatasetTooLarge, DetectorError, UnknownDataset
from tests.support.datasets import LIMITS, folder, read, said, zipped
from tests.support.pictures import picture

LABELS = "0 0.5 0.5 0.25 0.5"


def refusal(path: Path) -> DetectorError:
    with pytest.raises(DatasetError) as caught:
        read(path)
    return caught.value


def test_paths_out_of_the_zip_and_links_are_left_out_and_nothing_is_written(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"../a.jpg": picture(), "/b.jpg": picture(), "C:\\c.jpg": picture()})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("d.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("e.jpg", picture())
        archive.writestr("e.txt", LABELS)
    pictures, opened = read(path)
    assert list(pictures) == ["e.jpg"]
    assert said(opened) == [
        "../a.jpg is a path that leads out of the ZIP",
        "/b.jpg is a path that leads out of the ZIP",
        "C:/c.jpg is a path that leads out of the ZIP",
        "d.jpg is a symbolic link",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_links_in_a_folder_are_left_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", {"a.jpg": picture(), "a.txt": LABELS})
    (root / "b.jpg").symlink_to(root / "a.jpg")
    (root / "again").symlink_to(root)
    pictures, opened = read(root)
    assert list(pictures) == ["a.jpg"]
    assert sorted(said(opened)) == ["again is a symbolic link", "b.jpg is a symbolic link"]


def test_backslashes_other_folders_and_names_of_macos_and_windows_are_read(tmp_path: Path) -> None:
    names = {
        "my set\\images\\Straße 図.jpg": picture(),
        "my set\\labels\\Straße 図.txt": LABELS,
        "__MACOSX/my set/images/._Straße 図.jpg": b"x",
        "my set/.DS_Store": b"x",
        "my set/Thumbs.db": b"x",
    }
    pictures, opened = read(zipped(tmp_path / "set.zip", names))
    assert list(pictures) == ["my set/images/Straße 図.jpg"]
    assert said(opened) == []


def test_utf8_names_that_a_zip_does_not_call_so_are_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"кот.jpg": picture(), "кот.txt": LABELS})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            (flags,) = struct.unpack_from("<H", data, at + offset)
            struct.pack_into("<H", data, at + offset, flags & ~0x800)
    path.write_bytes(data)
    assert list(read(path)[0]) == ["кот.jpg"]


def test_what_unpacks_to_too_much_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "bomb.zip", {"a.jpg": b"\0" * 5_000_000, "a.txt": LABELS})
    pictures, opened = read(path, LIMITS.__class__(1_000_000, 1_000_000))
    assert (pictures, said(opened)) == (
        {},
        ["a.jpg has 5 MB; 1 is the most"],
    )
    monkeypatch.setattr(files_module, "_SMALL", 1_000_000)
    assert refusal(path).message == "bomb.zip unpacks to more than 0.0 GB."
    monkeypatch.setattr(files_module, "_SMALL", 10_000_000)
    monkeypatch.setattr(files_module, "_MOST_UNPACKED", 1_000_000)
    assert isinstance(refusal(path), DatasetTooLarge)


def test_a_zip_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "many.zip", {f"{number}.txt": LABELS for number in range(50)})
    monkeypatch.setattr(files_module, "MOST_FILES", 49)
    assert isinstance(refusal(path), DatasetTooLarge)
    monkeypatch.setattr(files_module, "_LONGEST_DIRECTORY", 1_000)
    assert isinstance(refusal(path), DatasetTooLarge)
    assert isinstance(
        refusal(folder(tmp_path, {f"{number}.txt": LABELS for number in range(50)})), DatasetTooLarge
    )


@pytest.mark.parametrize("data", [b"", b"text", b"PK\5\6" + b"\0" * 18, b"PK\3\4" + b"\0" * 100])
def test_what_is_no_data_set_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(data)
    assert isinstance(refusal(tmp_path / "set.zip"), UnknownDataset)
    assert isinstance(refusal(folder(tmp_path / "pictures", {"a.jpg": picture()})), UnknownDataset)
    assert "No such file" in refusal(tmp_path / "nothing.zip").message


def test_a_damaged_entry_is_left_out_and_the_others_are_read(tmp_path: Path) -> None:
    files = {"a.jpg": picture("a" * 500), "a.txt": LABELS, "b.jpg": picture(), "b.txt": LABELS}
    path = zipped(tmp_path / "set.zip", files)
    data = bytearray(path.read_bytes())
    data[100:110] = b"\xff" * 10
    path.write_bytes(data)
    pictures, opened = read(path)
    assert list(pictures) == ["b.jpg"]
    assert opened.left_out[0].reason == "can't be read: it is damaged"


def test_an_encrypted_file_is_left_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"a.jpg": picture(), "a.txt": LABELS, "b.jpg": picture()})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    pictures, opened = read(path)
    assert (list(pictures), said(opened)) == (["a.jpg"], ["b.jpg is encrypted"])


def test_the_zip_is_closed_when_it_is_refused_or_done(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"a.jpg": picture(), "a.txt": LABELS})
    with open_dataset(path, limits=LIMITS) as opened:
        assert io.BytesIO(next(iter(opened)).data).read(2) == b"\xff\xd8"
