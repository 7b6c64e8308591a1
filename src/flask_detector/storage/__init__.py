"""Stores the bytes of pictures in a folder or a bucket. Imports no Flask, Redis or RQ."""

from urllib.parse import urlsplit

from flask_detector.errors import SettingsError
from flask_detector.settings import Settings
from flask_detector.storage.base import Storage
from flask_detector.storage.local import FolderStorage
from flask_detector.url_paths import path_in_url


def open_storage(settings: Settings) -> Storage:
    """Return the storage of an installation.

    Raises SettingsError if DETECTOR_STORAGE_URL can't be used.
    """
    if settings.storage_url is None:
        return FolderStorage(settings.data_dir / "pictures", sync=settings.sync_writes)
    url = settings.storage_url.get_secret_value()
    parts = urlsplit(url)
    if parts.scheme == "s3":
        # An extra: not every installation has it.
        from flask_detector.storage.s3 import BucketStorage

        return BucketStorage(url, settings.storage_ca)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return FolderStorage(path_in_url(url[len("file://") :]), sync=settings.sync_writes)
    raise SettingsError(
        "DETECTOR_STORAGE_URL can't be used.",
        hint="Write it as s3://bucket/prefix, or as file:///folder for a folder that all machines mount.",
    )
