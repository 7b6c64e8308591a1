"""Serves the application with gunicorn: one process, many threads."""

import logging
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from flask_detector.settings import Settings
from flask_detector.web import create_app

log = logging.getLogger(__name__)


class Server(BaseApplication):
    """gunicorn, set up by our settings alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options."""
        options: dict[str, Any] = {
            "bind": [f"{_bracketed(self._settings.host)}:{self._settings.port}"],
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.web_threads,
            "preload_app": True,
            "graceful_timeout": 10,
            "loglevel": "warning",
            "proc_name": "flask-detector",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application."""
        return create_app(self._settings)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    if not (settings.require_keys or settings.is_local):
        log.warning(
            "whoever reaches %s:%d may send pictures: DETECTOR_REQUIRE_KEYS closes the API; before pages, "
            "put a proxy that asks for a password",
            settings.host,
            settings.port,
        )
    Server(settings).run()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
