"""Pictures in an S3-compatible bucket, for installations of several machines.

Needs the extra ``s3`` (obstore, imported when it is first used).
"""

import io
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qsl, unquote, urlsplit

from flask_detector.errors import SettingsError, StorageUnavailable
from flask_detector.storage.base import StoredFile, check_key, check_path, is_id

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Store

log = logging.getLogger(__name__)

# Options in the query of the URL: obstore's names for the settings of S3-compatible services. Each also has a
# conventional variable (AWS_ENDPOINT_URL, AWS_REGION, …) as its default.
_OPTIONS = {
    "endpoint",
    "region",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "virtual_hosted_style_request",
}

# S3's smallest part; larger files are uploaded in parts of this size, two at a time, and appear atomically.
_PART = 5 << 20
_PARTS_AT_ONCE = 2

# Failed requests are retried, but a visitor must not wait longer than this in total.
_CONNECT = timedelta(seconds=3)
_REQUEST = timedelta(seconds=20)
_RETRIES = 3
_ALL_TRIES = timedelta(seconds=30)

_METADATA_SERVICE = "/latest/api/token"

_PROBES = "probes"


class BucketStorage:
    """Pictures in a bucket: ``<prefix>/<id>/<name>``; other files by their paths after the prefix.

    The library's threads do not survive a fork: don't use this before forking.
    """

    def __init__(self, url: str, authority: Path | None = None) -> None:
        """Take a URL such as ``s3://bucket/prefix?endpoint=http://host:9000``; nothing is sent yet.

        authority: a file with CA certificates (PEM) to trust in addition to the system's.

        Raises SettingsError.
        """
        parts = urlsplit(url)
        if not parts.hostname:
            raise SettingsError("DETECTOR_STORAGE_URL has no bucket.", hint="Write it as s3://bucket/prefix.")
        self._bucket = parts.netloc
        self._prefix = unquote(parts.path).strip("/")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := options.keys() - _OPTIONS:
            raise SettingsError(
                f"DETECTOR_STORAGE_URL has the unknown option {min(unknown)}.",
                hint=f"Possible options: {', '.join(sorted(_OPTIONS))}.",
            )
        self._options: dict[str, Any] = options
        self._client_options: ClientConfig = {
            "allow_http": True,
            "connect_timeout": _CONNECT,
            "timeout": _REQUEST,
        }
        if authority is not None:
            self._client_options["root_certificate"] = _certificates(authority)
        _require_library()

    @cached_property
    def _store(self) -> "S3Store":
        from obstore.store import S3Store

        return S3Store(
            self._bucket,
            prefix=self._prefix or None,
            client_options=self._client_options,
            retry_config={"max_retries": _RETRIES, "retry_timeout": _ALL_TRIES},
            **self._options,
        )

    def put(self, id: str, name: str, source: BinaryIO) -> None:
        """Store all bytes of a stream under an id and a name."""
        self._put(check_key(id, name), source)

    def get(self, id: str, name: str) -> bytes:
        """Return the bytes, or raise FileNotFoundError."""
        return self._get(check_key(id, name))

    def delete(self, id: str) -> None:
        """Delete everything under an id."""
        if is_id(id):
            self._delete_under(id)

    def older_than(self, seconds: float) -> Iterator[str]:
        """Yield the ids whose newest bytes are older than that."""
        limit = time.time() - seconds
        with _reporting("listed"):
            found = (one for chunk in self._store.list(chunk_size=1000) for one in chunk)
            for id, group in groupby(found, lambda one: one["path"].partition("/")[0]):  # keys come in order
                if is_id(id) and max(one["last_modified"].timestamp() for one in group) < limit:
                    yield id

    def write(self, path: str, source: BinaryIO) -> StoredFile:
        """Store all bytes of a stream as a file."""
        key, size = check_path(path), source.seek(0, io.SEEK_END)
        source.seek(0)
        return StoredFile(path.rpartition("/")[2], size, self._put(key, source))

    def read(self, path: str) -> bytes:
        """Return a file's bytes, or raise FileNotFoundError."""
        return self._get(check_path(path))

    def remove(self, path: str) -> None:
        """Delete a file, if there is one."""
        with _reporting("deleted"):
            self._store.delete([check_path(path)])

    def remove_folder(self, path: str) -> None:
        """Delete everything under a path."""
        self._delete_under(check_path(path))

    def files(self, path: str) -> list[StoredFile]:
        """Return the files that lie directly under a path."""
        prefix = f"{check_path(path)}/"
        with _reporting("listed"):
            found = self._store.list_with_delimiter(prefix)["objects"]
        # Some servers list a folder that has become empty as a file of its own name.
        return [
            StoredFile(one["path"].removeprefix(prefix), one["size"], _stamp(one["e_tag"]))
            for one in found
            if one["path"].startswith(prefix)
        ]

    def folders(self, path: str) -> list[str]:
        """Return the names of what has files under it, directly under a path."""
        with _reporting("listed"):
            found = self._store.list_with_delimiter(f"{check_path(path)}/")["common_prefixes"]
        return [prefix.rstrip("/").rpartition("/")[2] for prefix in found]

    def check(self) -> None:
        """Raise StorageUnavailable unless bytes can be written, read and deleted here."""
        key = f"{_PROBES}/{secrets.token_hex(8)}"
        with _reporting("written"):
            self._store.put(key, b"probe")
            self._store.get(key).bytes()
            self._store.delete(key)

    def _put(self, key: str, source: BinaryIO) -> str:
        with _reporting("written"):
            put = self._store.put(key, source, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)
        return _stamp(put["e_tag"])

    def _get(self, key: str) -> bytes:
        with _reporting("read"):
            return self._store.get(key).bytes().to_bytes()

    def _delete_under(self, path: str) -> None:
        with _reporting("deleted"):
            keys = [one["path"] for chunk in self._store.list(f"{path}/") for one in chunk]
            if keys:
                self._store.delete(keys)


def _stamp(e_tag: str | None) -> str:
    return (e_tag or "").strip('"')


def _certificates(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"DETECTOR_STORAGE_CA: {path} can't be read: {error.strerror}.", hint="Correct the path."
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise SettingsError(
            f"DETECTOR_STORAGE_CA: there is no certificate in {path}.",
            hint="It must be a PEM file with BEGIN CERTIFICATE.",
        )
    return content


def _require_library() -> None:
    from importlib.util import find_spec

    if find_spec("obstore") is None:
        raise SettingsError(
            "Storing pictures in a bucket requires the package obstore.",
            hint="Install it: pip install 'flask-detector[s3]'.",
        )


@contextmanager
def _reporting(done: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        # The library appends long debug output.
        said = str(error).partition("\n\nDebug source")[0]
        if isinstance(error, FileNotFoundError) and done == "read" and "NoSuchBucket" not in said:
            raise FileNotFoundError("there is nothing under this name") from error
        log.warning("bucket error: %s", said[:500])
        why, hint = _explain(str(error))
        raise StorageUnavailable(f"A picture could not be {done}: {why}.", hint=hint) from error


def _explain(said: str) -> tuple[str, str]:
    """Return why the bucket can't be used, and what to do; the library has no error classes for listing."""
    if "NoSuchBucket" in said:
        return "there is no such bucket", "Create the bucket, or correct DETECTOR_STORAGE_URL."
    if _METADATA_SERVICE in said:  # the library's last resort
        return "there are no credentials", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if "RequestTimeTooSkewed" in said:
        return (
            "the storage's clock and this machine's are too far apart",
            "Synchronise both with a time server.",
        )
    if "403 Forbidden" in said or "401 Unauthorized" in said:
        return (
            "the bucket rejects the credentials",
            "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, the region, and the key's permissions.",
        )
    if "InvalidCertificate" in said:
        return (
            "the storage's certificate can't be verified",
            "Set DETECTOR_STORAGE_CA to the CA's certificate, and use a host name in the certificate as the "
            "endpoint of DETECTOR_STORAGE_URL.",
        )
    return (
        "the storage does not respond properly",
        "Check the endpoint of DETECTOR_STORAGE_URL, and that the storage is running and has free space.",
    )
