"""Nothing between the parts of an installation that can be read on the way: Redis and bucket over TLS."""

import http.client
import io
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from flask_detector.errors import SettingsError, StorageUnavailable
from flask_detector.settings import Settings
from flask_detector.storage import open_storage
from flask_detector.storage.s3 import BucketStorage
from tests.support.ports import free_port
from tests.support.redis_servers import answers, running_secured
from tests.support.s3 import Bucket, running_s3
from tests.support.waiting import wait_until

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority's certificate, another's, and what the S3 server proves itself with."""
    folder = tmp_path_factory.mktemp("authorities")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder


@pytest.fixture(scope="module")
def secure_bucket(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket of an S3 server that is reached over HTTPS, with a certificate of an authority of its own."""
    with running_s3(tmp_path_factory.mktemp("s3"), "127.0.0.1", certificate=folder / "server.pem") as bucket:
        yield bucket


def storage_of(bucket: Bucket, authority: Path | None, monkeypatch: pytest.MonkeyPatch) -> BucketStorage:
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    assert bucket.endpoint.startswith("https://")
    settings = Settings(
        data_dir=Path("unused"),
        storage_url=bucket.url("secured"),  # type: ignore[arg-type]  # pydantic makes a secret of it
        storage_ca=authority,
    )
    storage = open_storage(settings)
    assert isinstance(storage, BucketStorage)
    return storage


@pytest.mark.slow
def test_a_bucket_s_certificate_is_verified_by_the_authority_that_is_named(
    secure_bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = storage_of(secure_bucket, folder / "ca.pem", monkeypatch)
    storage.check()
    storage.put(ID, "original", io.BytesIO(b"x" * 6_000_000))
    assert storage.get(ID, "original") == b"x" * 6_000_000
    storage.delete(ID)
    with pytest.raises(FileNotFoundError):
        storage.get(ID, "original")


@pytest.mark.parametrize("authority", [None, "other.pem"])
def test_a_bucket_s_certificate_that_can_not_be_verified_is_said(
    secure_bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch, authority: str | None
) -> None:
    storage = storage_of(secure_bucket, folder / authority if authority else None, monkeypatch)
    for use in (storage.check, lambda: storage.get(ID, "original"), lambda: list(storage.older_than(0))):
        with pytest.raises(StorageUnavailable, match="certificate can't be verified") as raised:
            use()
        assert "DETECTOR_STORAGE_CA" in raised.value.hint


@pytest.mark.parametrize(("content", "words"), [(None, "can't be read"), ("secret", "no certificate")])
def test_an_authority_s_file_that_is_none_is_said(tmp_path: Path, content: str | None, words: str) -> None:
    authority = tmp_path / "ca.pem"
    if content is not None:
        authority.write_text(content)
    with pytest.raises(SettingsError, match=f"DETECTOR_STORAGE_CA.*{words}"):
        BucketStorage("s3://bucket", authority)


@pytest.mark.slow
def test_a_picture_goes_its_whole_way_over_tls_alone(
    secure_bucket: Bucket,
    folder: Path,
    tmp_path: Path,
    jpeg: bytes,
) -> None:
    port = free_port()
    (tmp_path / "redis").mkdir()
    with running_secured(tmp_path / "redis") as redis:
        url = f"rediss+sentinel://{redis.sentinels}&{redis.files}"
        wait_until(answers(f"{url}&ssl_ca_certs={redis.authority}"), 30)
        environment = {
            **os.environ,
            **secure_bucket.environment,
            "REDIS_URL": url,
            "PORT": str(port),
            "DETECTOR_REDIS_CA": str(redis.authority),
            "DETECTOR_STORAGE_URL": secure_bucket.url("whole-way"),
            "DETECTOR_STORAGE_CA": str(folder / "ca.pem"),
            "DETECTOR_DATA_DIR": str(tmp_path / "data"),
            "DETECTOR_OFFLINE": "1",
        }
        parts = [
            subprocess.Popen([sys.executable, "-m", "flask_detector", part], env=environment)
            for part in ("web", "worker")
        ]
        try:
            address = f"http://127.0.0.1:{port}"

            def is_ready() -> bool:
                try:
                    with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
                        return bool(json.load(answer)["ready"])
                except (OSError, http.client.HTTPException):
                    return False

            wait_until(is_ready, 60)
            request = urllib.request.Request(f"{address}/api/v1/detections", jpeg, {"Prefer": "wait=60"})
            with urllib.request.urlopen(request, timeout=90) as answer:
                found = json.load(answer)
            assert found["result"]["model"] == "nanodet-g"
        finally:
            for part in parts:
                part.terminate()
            for part in parts:
                part.wait(30)
