"""Whether files, temporary ones and pictures can be written."""

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from flask_detector.detectors.zoo.download import DISK_FULL
from flask_detector.service.doctor.finding import Findings, ok, problem, warning
from flask_detector.settings import Settings
from flask_detector.storage import open_storage

_NEEDED_GB = 2
_HINT = "Set DETECTOR_DATA_DIR to a folder that this user may write to."
_HINTS = {
    errno.EROFS: "It is mounted read-only: mount it writable, or set DETECTOR_DATA_DIR to a volume.",
    errno.ENOTDIR: "Part of its path is a file: remove that, or set DETECTOR_DATA_DIR.",
    **dict.fromkeys(
        DISK_FULL, "Free some disk space, lower DETECTOR_RETENTION_HOURS, or set DETECTOR_DATA_DIR."
    ),
}


def check_data_folder(settings: Settings) -> Findings:
    """Report whether a file can be written, and the free space."""
    folder = settings.data_dir
    probe = folder / ".doctor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        message = f"The data folder {folder} is not writable: {error.strerror}."
        yield problem(message, _HINTS.get(error.errno or 0, _HINT))
        # On a full disk an empty file can still be created.
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        return
    free_gb = shutil.disk_usage(folder).free / 1e9
    message = f"The data folder {folder} is writable; {free_gb:.1f} GB are free."
    if free_gb < _NEEDED_GB:
        yield warning(
            message, f"Weights and pictures need {_NEEDED_GB} GB: free some, or set DETECTOR_DATA_DIR."
        )
    else:
        yield ok(message)


def check_temporary_files(settings: Settings) -> Findings:
    """Report a TMPDIR that Python passes over, since large uploads then go to another disk."""
    wanted, used = os.environ.get("TMPDIR"), tempfile.gettempdir()
    if wanted and not Path(used).samefile(wanted if Path(wanted).exists() else "/"):
        yield warning(
            f"TMPDIR is {wanted}, which is not writable: {used} is used instead.",
            "Create that folder, or unset TMPDIR.",
        )


def check_storage(settings: Settings) -> Findings:
    """Write and read a probe; raises SettingsError and StorageUnavailable."""
    open_storage(settings).check()
    yield ok("Pictures can be stored.")
