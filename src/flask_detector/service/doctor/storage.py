"""Whether pictures can be stored."""

from flask_detector.service.doctor.finding import Findings, ok
from flask_detector.settings import Settings
from flask_detector.storage import open_storage


def check(settings: Settings) -> Findings:
    """Write and read a probe; raises SettingsError and StorageUnavailable."""
    open_storage(settings).check()
    yield ok("Pictures can be stored.")
