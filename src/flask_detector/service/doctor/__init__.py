"""`flask-detector doctor`: one file per check; each says what works, what doesn't, and what to do."""

from collections.abc import Callable, Iterator

from flask_detector.errors import DetectorError
from flask_detector.service.doctor import (
    data_folder,
    detection,
    engine,
    fonts,
    models,
    python,
    redis_server,
    storage,
    temporary_files,
    web,
    workers,
)
from flask_detector.service.doctor import settings as settings_check
from flask_detector.service.doctor.finding import Finding, Findings, problem
from flask_detector.settings import Settings

CHECKS: dict[str, Callable[[Settings], Findings]] = {
    "python": python.check,
    "engine": engine.check,
    "fonts": fonts.check,
    "data": data_folder.check,
    "temporary files": temporary_files.check,
    "storage": storage.check,
    "models": models.check,
    "detection": detection.check,
    "redis": redis_server.check,
    "workers": workers.check,
    "web": web.check,
    "settings": settings_check.check,
}


def examine(settings: Settings) -> Iterator[tuple[str, Finding]]:
    """Yield what each check finds, with the check's name; one that fails does not stop the others."""
    for name, check in CHECKS.items():
        try:
            for finding in check(settings):
                yield name, finding
        except DetectorError as error:
            yield name, problem(error.message, error.hint)
        except (OSError, ImportError) as error:
            yield name, problem(f"The check failed: {error}.", "")
