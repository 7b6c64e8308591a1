import errno
import io
import os
import time
from pathlib import Path

import pytest

from flask_detector.errors import StorageUnavailable
from flask_detector.storage.local import FolderStorage
from tests.support.storages import BAD_PATHS, check_deleting, check_files_under_paths

ID = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "pictures")


def test_what_was_put_comes_back(storage: FolderStorage) -> None:
    storage.put(ID, "original", io.BytesIO(b"pixels"))
    assert storage.get(ID, "original") == b"pixels"


def test_putting_again_replaces(storage: FolderStorage) -> None:
    storage.put(ID, "original", io.BytesIO(b"pixels"))
    storage.put(ID, "original", io.BytesIO(b"others"))
    assert storage.get(ID, "original") == b"others"


def test_what_is_missing_is_file_not_found(storage: FolderStorage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.get(ID, "original")


def test_deleting_takes_all_under_the_id_and_nothing_else(storage: FolderStorage) -> None:
    check_deleting(storage, ID, OTHER)


@pytest.mark.parametrize("id", ["../../etc", "", "ABC", ID + "0", f"{ID[:-1]}/"])
def test_an_id_that_is_not_one_of_ours_reaches_no_path(storage: FolderStorage, id: str) -> None:
    with pytest.raises(FileNotFoundError):
        storage.get(id, "original")
    with pytest.raises(FileNotFoundError):
        storage.put(id, "original", io.BytesIO(b"pixels"))


def test_a_name_that_leaves_the_folder_reaches_no_path(storage: FolderStorage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.put(ID, "../original", io.BytesIO(b"pixels"))


def test_what_was_put_is_on_the_disk_first_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync = os.fsync

    def fsync_noted(file: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{file}")))
        fsync(file)

    monkeypatch.setattr(os, "fsync", fsync_noted)
    FolderStorage(tmp_path / "pictures").put(OTHER, "original", io.BytesIO(b"pixels"))
    assert synced == []
    FolderStorage(tmp_path / "pictures", sync=True).put(ID, "original", io.BytesIO(b"pixels"))
    file, *folders = synced
    of_id = tmp_path / "pictures" / ID[:2] / ID
    assert file.parent == of_id
    assert file.name != "original"  # before it got its name
    assert folders == [of_id, of_id.parent, tmp_path / "pictures", tmp_path]


def test_what_can_not_be_brought_to_the_disk_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(file: int) -> None:
        if Path(f"/proc/self/fd/{file}").is_dir():
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    storage = FolderStorage(tmp_path / "pictures", sync=True)
    with pytest.raises(StorageUnavailable):
        storage.put(ID, "original", io.BytesIO(b"pixels"))
    assert not (tmp_path / "pictures" / ID[:2] / ID).exists()


def test_a_stream_that_breaks_leaves_nothing(storage: FolderStorage, tmp_path: Path) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError("the client went away")

    with pytest.raises(StorageUnavailable):
        storage.put(ID, "original", Breaking())
    assert not (tmp_path / "pictures" / ID[:2] / ID).exists()


def test_only_what_is_old_is_listed_as_old(storage: FolderStorage, tmp_path: Path) -> None:
    for id in (ID, OTHER):
        storage.put(id, "original", io.BytesIO(b"pixels"))
    hour_ago = time.time() - 3600
    os.utime(tmp_path / "pictures" / ID[:2] / ID, (hour_ago, hour_ago))
    assert list(storage.older_than(1800)) == [ID]


def test_a_place_that_is_no_folder_is_reported_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file, not a folder")
    with pytest.raises(StorageUnavailable, match="data folder"):
        FolderStorage(tmp_path / "pictures").put(ID, "original", io.BytesIO(b"pixels"))


def test_the_check_finds_a_folder_that_can_be_written_and_leaves_nothing_there(
    storage: FolderStorage, tmp_path: Path
) -> None:
    storage.check()
    assert list((tmp_path / "pictures").iterdir()) == []


def test_the_check_finds_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable):
        FolderStorage(tmp_path / "file" / "pictures").check()


def test_nobody_else_may_list_the_ids(storage: FolderStorage, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    storage.put(ID, "original", io.BytesIO(b"pixels"))
    assert (tmp_path / "pictures").stat().st_mode & 0o777 == 0o700
    storage.check()
    assert storage.get(ID, "original") == b"pixels"


def test_files_lie_under_their_paths_until_they_are_removed(storage: FolderStorage) -> None:
    check_files_under_paths(storage)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_leaves_its_folder_reaches_nothing(storage: FolderStorage, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read(path)
    with pytest.raises(FileNotFoundError):
        storage.write(path, io.BytesIO(b"1"))
