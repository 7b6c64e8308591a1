"""Serves the application with gunicorn: one process, many threads."""

import gc
import logging
import os
import resource
from typing import Any

import gunicorn.glogging
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.sock import create_sockets

from flask_detector.errors import StorageUnavailable
from flask_detector.process.memory import give_back_code, give_back_unused
from flask_detector.service.supervisor import SOCKET_VARIABLE, listening
from flask_detector.settings import Settings
from flask_detector.web import create_app
from flask_detector.web.observability import request_log
from flask_detector.web.server import slow_clients

log = logging.getLogger(__name__)

_MOST_FILES = 4096


class Server(BaseApplication):
    """gunicorn, set up by our settings alone.

    Its worker runs in this very process. gunicorn's arbiter, a second process, would only watch the first one
    and start it again, which `serve` or the system's own supervisor does; it would take as much memory again.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._watch: request_log.Watch | None = None
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options."""
        options: dict[str, Any] = {
            "workers": 1,
            "worker_class": "flask_detector.web.server.slow_clients.PatientWorker",
            "threads": slow_clients.threads(self.settings.web_threads),
            "graceful_timeout": 10,
            "loglevel": "warning",
            "logger_class": _Logger,
            # gunicorn would believe X-Forwarded-Proto from this machine; our own setting decides that.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "proc_name": "flask-detector",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application."""
        app = create_app(self.settings)
        self._watch = request_log.of(app)
        self._watch.start()
        _warn_of_storage(app)
        give_back_unused()
        give_back_code()
        gc.freeze()  # what is loaded by now stays: it need not be looked through again and again
        return app

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        _allow_more_files()
        # What gunicorn's Arbiter.spawn_worker does in the process that it forks.
        log = self.cfg.logger_class(self.cfg)
        listener = _given_socket() or listening(self.settings.host, self.settings.port).detach()
        sockets = create_sockets(self.cfg, log, fds=[listener])
        worker = self.cfg.worker_class(1, os.getppid(), sockets, self, self.cfg.timeout, self.cfg, log)
        worker.pid = os.getpid()
        try:
            worker.init_process()
        finally:
            worker.tmp.close()
            if self._watch is not None:
                self._watch.stop()


class _Logger(gunicorn.glogging.Logger):
    """gunicorn's logger, whose lines go where ours go: they can name addresses, and ours are cleaned."""

    def setup(self, cfg: Any) -> None:
        """Take gunicorn's own handlers away again."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises SettingsError, for example because the port is in use."""
    _ = settings.required_redis_url  # that there is none is said before anything else
    if not (settings.require_keys or settings.is_local):
        log.warning(
            "whoever reaches %s:%d may send pictures: DETECTOR_REQUIRE_KEYS closes the API; before pages, "
            "put a proxy that asks for a password",
            settings.host,
            settings.port,
        )
    if settings.storage_url is not None and settings.secret_key is None:
        log.warning(
            "SECRET_KEY is unset, so this machine makes its own: with web processes on several machines, "
            "set the same on each, or a visitor's history and forms work on one of them only"
        )
    Server(settings).run()


def _warn_of_storage(app: Flask) -> None:
    """Say at once what uploads would be refused for; it may pass, so the pages are served all the same."""
    try:
        app.extensions["flask-detector"].storage.check()
    except StorageUnavailable as error:
        log.error("uploads will be refused: %s", error)


def _allow_more_files() -> None:
    """Allow a file for each connection and one for what it does not take; the usual limit is 1024 in all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _MOST_FILES:
        most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _given_socket() -> int | None:
    """Return the socket that whoever started this process holds for it and its successors.

    That is `serve`, or systemd with a socket unit (sd_listen_fds(3)).
    """
    if number := os.environ.get(SOCKET_VARIABLE):
        return int(number)
    is_for_us = os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1"
    return 3 if is_for_us else None
