"""Prepares an installation (checks, lock, plan); supervisor.py then runs it."""

import fcntl
import logging
import os
import sys
from typing import NoReturn

import redis

from flask_detector._version import __version__
from flask_detector.broker.connection import check, connect
from flask_detector.broker.local_server import LocalRedis
from flask_detector.broker.server_program import find_server
from flask_detector.detectors import AUTO, model_store
from flask_detector.detectors.zoo.install_state import is_locked
from flask_detector.errors import SettingsError
from flask_detector.service.supervisor import Plan, Task, listening
from flask_detector.settings import Settings, unknown_variables
from flask_detector.settings.values import pairs
from flask_detector.storage import open_storage

log = logging.getLogger(__name__)

_LOCK = "serve.lock"


def serve(settings: Settings) -> NoReturn:
    """Check the configuration, then serve until SIGTERM or SIGINT.

    Raises SettingsError, BrokerUnavailable, UnknownModel and ModelNotInstalled.
    """
    for name, hint in unknown_variables():
        log.warning("%s is not a setting and has no effect. %s", name, hint)
    _warn_of_unknown_models(settings)
    lock = _hold_data_folder(settings)
    listening(settings.host, settings.port).close()
    open_storage(settings)
    if settings.model != AUTO:
        model_store(settings).path(settings.model)
    if settings.redis_url is None:
        find_server(settings.data_dir / "redis")
    else:
        with connect(settings.required_redis_url) as connection:
            check(connection)
    plan(settings).become(lock)


def _warn_of_unknown_models(settings: Settings) -> None:
    """Log what settings name and is no model here; it is no error, since one may be added or be elsewhere."""
    known = {AUTO, *(info.name for info in model_store(settings).known())}
    named = {
        "DETECTOR_ROUTES": [model for model, _ in pairs(settings.routes)],
        "DETECTOR_COMPAT_MODELS": [model for _, model in pairs(settings.compat_models)],
    }
    for variable, models in named.items():
        for name in dict.fromkeys(models):
            if name not in known:
                log.warning("%s names %s, but there is no such model here.", variable, name)


def work(settings: Settings, count: int) -> NoReturn:
    """Run that many workers until SIGTERM or SIGINT.

    Raises SettingsError and BrokerUnavailable.
    """
    open_storage(settings)
    with connect(settings.required_redis_url) as connection:
        check(connection)
    Plan(
        host=settings.host,
        port=0,
        redis_folder=None,
        sync_redis=False,
        tasks=_workers(count),
        environment={**os.environ, **_as_variables(settings)},
    ).become()


_THIS = [sys.executable, "-m", "flask_detector"]


def _workers(count: int) -> list[Task]:
    return [Task(f"worker {i + 1}", [*_THIS, "worker"]) for i in range(count)]


def plan(settings: Settings) -> Plan:
    """Return the processes to run; raises UnknownModel for a bad name in DETECTOR_FETCH."""
    store = model_store(settings)
    for name in settings.models_to_fetch:
        store.info(name)  # raises UnknownModel, before anything is started
    tasks = [*_workers(settings.workers), Task("web", [*_THIS, "web"])]
    # Converting again after an update needs no network.
    wanted = store.unconverted()
    wanted += [name for name in settings.models_to_fetch if name not in wanted]
    if settings.model == AUTO and wanted:
        # The embedded model is used meanwhile; workers switch to a better one once it is installed.
        tasks.append(Task("fetch", [*_THIS, "models", "pull", "--log", *wanted], runs_once=True))
    return Plan(
        host=settings.host,
        port=settings.port,
        sync_redis=settings.sync_writes,
        redis_folder=None if settings.redis_url else str((settings.data_dir / "redis").absolute()),
        tasks=tasks,
        environment={**os.environ, **_as_variables(settings)},
        about=_about(settings, wanted),
    )


def _about(settings: Settings, wanted: list[str]) -> str:
    """Return a sentence on the model and the data folder, for the start-up message."""
    store = model_store(settings)
    used = store.default() if settings.model == AUTO else settings.model
    text = f"flask-detector {__version__} uses the model {used}"
    missing = [name for name in wanted if name not in store.installed()]
    if settings.model == AUTO and missing:
        text += f" until {missing[0]} is installed"
    return f"{text}. Pictures are kept for {settings.retention_hours:g} hours in {settings.data_dir}."


def _as_variables(settings: Settings) -> dict[str, str]:
    """Return command-line options as the variables that child processes read."""
    return {
        "PORT": str(settings.port),
        "DETECTOR_HOST": settings.host,
        "DETECTOR_QUEUE": settings.queue,
        "DETECTOR_DATA_DIR": str(settings.data_dir.absolute()),
    }


def _hold_data_folder(settings: Settings) -> int:
    """Lock the data folder until the returned file is closed; only one Redis may use its files."""
    try:
        settings.data_dir.mkdir(0o700, parents=True, exist_ok=True)
        lock = os.open(settings.data_dir / _LOCK, os.O_WRONLY | os.O_CREAT, 0o644)
    except OSError as error:
        raise SettingsError(
            f"The data folder {settings.data_dir} can't be used: {error.strerror}.",
            hint="Set DETECTOR_DATA_DIR to a folder that this user may write to.",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SettingsError(
            f"flask-detector is already running with the data folder {settings.data_dir}.",
            hint="Stop it first, or set DETECTOR_DATA_DIR and PORT for a second one.",
        ) from error
    return lock


def is_served(settings: Settings) -> bool:
    """Return whether `serve` is running with this data folder."""
    return is_locked(settings.data_dir / _LOCK)


def connect_to_installation(settings: Settings) -> redis.Redis:
    """Return a client for the Redis that REDIS_URL names, else for the one that `serve` runs."""
    own = LocalRedis(settings.data_dir / "redis").url
    return connect(own if settings.redis_url is None else settings.required_redis_url)
