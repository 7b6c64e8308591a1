"""Pictures in a bucket of a real S3 server."""

import io
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from flask_detector import storage as storages
from flask_detector.collections.classes import rename_class
from flask_detector.collections.pictures import Pictures
from flask_detector.collections.split import split
from flask_detector.collections.store import Collections, Limits
from flask_detector.errors import ChangedMeanwhile, SettingsError, StorageUnavailable
from flask_detector.settings import Settings
from flask_detector.storage.base import Storage
from flask_detector.storage.local import FolderStorage
from flask_detector.storage.s3 import BucketStorage
from tests.support.collected import OF_MODEL, OF_PERSON, OWNER, annotations
from tests.support.storages import BAD_PATHS, check_deleting, check_files_under_paths

pytestmark = pytest.mark.slow

ID = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


@pytest.fixture
def storage(bucket: Any, credentials: None, request: pytest.FixtureRequest) -> BucketStorage:
    return BucketStorage(bucket.url(f"of/{abs(hash(request.node.name))}"))


def test_what_was_put_comes_back_and_putting_again_replaces(storage: Storage) -> None:
    storage.put(ID, "original", io.BytesIO(b"pixels"))
    assert storage.get(ID, "original") == b"pixels"
    storage.put(ID, "original", io.BytesIO(b"others"))
    assert storage.get(ID, "original") == b"others"


def test_a_large_picture_goes_up_in_parts_and_comes_back_whole(storage: Storage) -> None:
    picture = os.urandom(12_000_000)
    storage.put(ID, "original", io.BytesIO(picture))
    assert storage.get(ID, "original") == picture


def test_deleting_takes_all_under_the_id_and_nothing_else(storage: Storage) -> None:
    check_deleting(storage, ID, OTHER)


def test_what_came_longer_ago_is_told_by_the_newest_bytes_under_an_id(storage: Storage) -> None:
    storage.put(ID, "original", io.BytesIO(b"pixels"))
    storage.put(OTHER, "original", io.BytesIO(b"pixels"))
    time.sleep(2.1)  # S3 counts in whole seconds
    storage.put(OTHER, "browser", io.BytesIO(b"pixels"))
    assert list(storage.older_than(1)) == [ID]
    assert list(storage.older_than(60)) == []


def test_prefixes_keep_installations_apart(bucket: Any, credentials: None, storage: Storage) -> None:
    storage.put(ID, "original", io.BytesIO(b"pixels"))
    other = BucketStorage(bucket.url("another/prefix"))
    other.delete(ID)
    assert list(other.older_than(-10)) == []
    assert storage.get(ID, "original") == b"pixels"


@pytest.mark.parametrize("size", [10, 12_000_000])
def test_a_stream_that_breaks_leaves_nothing(storage: Storage, size: int) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 0 or len(self.getvalue()) < 100:
                raise ConnectionResetError("the client went away")
            return super().read(size)

    with pytest.raises(StorageUnavailable):
        storage.put(ID, "original", Breaking(b"x" * size))
    with pytest.raises(FileNotFoundError):
        storage.get(ID, "original")


@pytest.mark.parametrize(("id", "name"), [("../etc", "original"), (ID, "../original"), ("", "original")])
def test_what_is_no_name_of_ours_reaches_no_key(storage: Storage, id: str, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        storage.get(id, name)
    with pytest.raises(FileNotFoundError):
        storage.put(id, name, io.BytesIO(b"pixels"))
    storage.delete(id if id else OTHER)


def test_the_check_leaves_nothing_behind(storage: Storage) -> None:
    storage.check()
    assert list(storage.older_than(-10)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"secret_access_key": "wrong"}, "rejects the credentials"),
        ({"access_key_id": "nobody"}, "rejects the credentials"),
        ({"endpoint": "http://127.0.0.1:1"}, "does not respond"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(
    bucket: Any, credentials: None, changes: dict[str, str], words: str
) -> None:
    wrong = BucketStorage(bucket.url(**changes))
    with pytest.raises(StorageUnavailable, match=words) as raised:
        wrong.check()
    assert all(value not in str(raised.value) for value in changes.values())
    with pytest.raises(StorageUnavailable, match=words):
        wrong.get(ID, "original")
    with pytest.raises(StorageUnavailable, match=words):
        list(wrong.older_than(0))
    with pytest.raises(StorageUnavailable, match=words):
        wrong.delete(ID)


def test_a_bucket_that_does_not_exist_is_said(bucket: Any, credentials: None) -> None:
    absent = BucketStorage(bucket.url().replace("s3://pictures", "s3://none"))
    for use in (absent.check, lambda: absent.get(ID, "original"), lambda: list(absent.older_than(0))):
        with pytest.raises(StorageUnavailable, match="no such bucket"):
            use()


def test_a_clock_that_is_off_is_said(
    bucket: Any, credentials: None, serve_http: Callable[[HTTPServer], str]
) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    address = serve_http(HTTPServer(("127.0.0.1", 0), Refusing))
    with pytest.raises(StorageUnavailable, match="clock"):
        BucketStorage(bucket.url(endpoint=address)).check()


def test_missing_credentials_are_said(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(StorageUnavailable, match="no credentials"):
        BucketStorage(bucket.url()).check()


def test_a_storage_that_never_answers_is_given_up_within_bounds(
    monkeypatch: pytest.MonkeyPatch, bucket: Any, credentials: None
) -> None:
    import socket
    from datetime import timedelta

    from flask_detector.storage import s3 as module

    monkeypatch.setattr(module, "_REQUEST", timedelta(seconds=0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_url = bucket.url(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StorageUnavailable, match="does not respond"):
            BucketStorage(silent_url).get(ID, "original")


@pytest.mark.parametrize(
    "url", ["s3:///prefix", "s3://bucket?colour=red", "ftp://host/folder", "file://host/folder", "nonsense"]
)
def test_a_url_that_can_not_be_used_is_refused_at_once(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="DETECTOR_STORAGE_URL"):
        storages.open_storage(Settings(data_dir=tmp_path, storage_url=url))  # type: ignore[arg-type]  # pydantic reads it


def test_a_mounted_folder_serves_as_well(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/shared%20pictures"
    opened = storages.open_storage(Settings(data_dir=tmp_path / "own", storage_url=url))  # type: ignore[arg-type]  # pydantic reads it
    assert isinstance(opened, FolderStorage)
    opened.check()
    opened.put(ID, "original", io.BytesIO(b"pixels"))
    assert (tmp_path / "shared pictures" / ID[:2] / ID / "original").read_bytes() == b"pixels"


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SettingsError, match=r"flask-detector\[s3\]"):
        BucketStorage("s3://bucket")


def test_the_library_is_loaded_only_for_a_bucket(tmp_path: Path) -> None:
    import subprocess

    code = "import sys, flask_detector.cli.serve, flask_detector.storage as s; "
    code += "from flask_detector.settings import Settings; "
    code += "s.open_storage(Settings()); sys.exit('obstore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"DETECTOR_DATA_DIR": str(tmp_path)}, check=False)
    assert done.returncode == 0


def test_what_the_server_holds_can_be_read_by_nobody_else(storage: Storage, bucket: Any) -> None:
    storage.put(ID, "original", io.BytesIO(b"pixels"))
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(f"{bucket.endpoint}/pictures", timeout=10)
    refused.value.close()


def test_files_lie_under_their_paths_until_they_are_removed(storage: Storage) -> None:
    check_files_under_paths(storage)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_leaves_its_folder_reaches_nothing(storage: Storage, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read(path)
    with pytest.raises(FileNotFoundError):
        storage.write(path, io.BytesIO(b"1"))


def test_a_collection_in_a_bucket_is_filled_changed_found_again_and_deleted(
    storage: BucketStorage, connection: redis.Redis, jpeg: bytes
) -> None:
    store = Collections(storage, connection, Limits(total=10_000_000, owner=10_000_000))
    pictures = Pictures(store)
    id = store.create("Füchse 狐", OWNER).id
    added = [pictures.add(id, jpeg, annotations(OF_MODEL), file_name=f"{n} 狐.jpg")[0] for n in range(3)]
    seen = pictures.annotations(id, added[0])[1].version
    pictures.correct(id, added[0], annotations(OF_PERSON, verified=True), replaces={seen}, by="me")
    with pytest.raises(ChangedMeanwhile):
        pictures.correct(id, added[0], annotations(), replaces={seen}, by="another")
    assert rename_class(pictures, id, "cat", "猫") == 2
    split(pictures, id, validation=0.34)
    assert pictures.thumbnail(id, added[1], lambda data: data[:10]) == jpeg[:10]
    before = pictures.entries(id), store.owned_by(OWNER), pictures.details(id, pictures.entries(id))
    connection.flushall()
    assert (pictures.entries(id), store.owned_by(OWNER), pictures.details(id, pictures.entries(id))) == before
    storage.remove(f"collections/{id}/annotations/{added[2]}.json")
    store.comparison.compare(id)
    assert [entry.id for entry in pictures.entries(id)] == added[:2]
    assert pictures.picture(id, added[1]) == jpeg
    pictures.remove(id, [added[1]])
    assert {file.name for file in storage.files(f"collections/{id}/pictures")} == {
        f"{added[0]}.jpg", f"{added[2]}.jpg"
    }  # fmt: skip
    store.delete(id)
    connection.flushall()
    assert store.owned_by(OWNER) == []
    assert storage.files(f"collections/{id}") == []
