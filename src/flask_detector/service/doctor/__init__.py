"""`flask-detector doctor`: its checks say what works, what doesn't, and what to do."""

from collections.abc import Callable, Iterator

from flask_detector.errors import DetectorError
from flask_detector.service.doctor import folders, machine, models, processes, redis_server
from flask_detector.service.doctor import settings as settings_check
from flask_detector.service.doctor.finding import Finding, Findings, problem
from flask_detector.settings import Settings

CHECKS: dict[str, Callable[[Settings], Findings]] = {
    "python": machine.check_python,
    "engine": machine.check_engine,
    "fonts": machine.check_fonts,
    "data": folders.check_data_folder,
    "temporary files": folders.check_temporary_files,
    "storage": folders.check_storage,
    "models": models.check_models,
    "detection": models.check_detection,
    "redis": redis_server.check,
    "workers": processes.check_workers,
    "web": processes.check_web,
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
