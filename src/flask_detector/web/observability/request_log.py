"""The request log: an id, a line, a count and a duration for each request."""

import contextlib
import logging
import threading
import time
from typing import Any, cast

import redis
from flask import Flask, Response, current_app, g, request
from werkzeug.routing import Rule

from flask_detector.process.logs import accepted_request_id, facts, request_id
from flask_detector.service import metrics
from flask_detector.service.metrics import Tally
from flask_detector.web.observability.processes import Presence

log = logging.getLogger("flask_detector.access")

_NAME = "flask-detector-watch"

HEADER = "X-Request-ID"

# Counts go to Redis at most this often, in seconds; while it can't be reached, more rarely.
_SEND_SECONDS = 1.0
_SEND_AGAIN_SECONDS = 15.0

# A process reports its presence and its counts so often, also without requests, in seconds.
_REPORT_SECONDS = 5.0

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

# Polled all the time: logged only when they fail.
_QUIET = {
    "static",
    "probes.healthz",
    "probes.readyz",
    "probes.metrics",
    "detection.events",
    "detection.state",
}


class Watch:
    """The counts of this process, on their way to Redis."""

    def __init__(self, connection: redis.Redis) -> None:
        self.tally = Tally()
        self.presence = Presence()
        self._connection = connection
        self._next_send = 0.0
        self._stopped = threading.Event()

    def send(self, *, at_once: bool = False) -> None:
        """Add the counts to Redis, unless that was done a moment ago; an unreachable Redis is passed over."""
        now = time.monotonic()
        if not at_once and now < self._next_send:
            return
        self._next_send = now + _SEND_SECONDS
        try:
            self.tally.send(self._connection)
        except redis.RedisError:
            self._next_send = now + _SEND_AGAIN_SECONDS

    def start(self) -> None:
        """Report this process from now on, in a thread of its own."""
        threading.Thread(target=self._keep_reporting, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Send what was counted last, and take back that this process is there."""
        self._stopped.set()
        self.send(at_once=True)
        with contextlib.suppress(redis.RedisError):
            self.presence.withdraw(self._connection)

    def _keep_reporting(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(redis.RedisError):
                self.presence.report(self._connection)
            self.send()
            self._stopped.wait(_REPORT_SECONDS)


def of(app: Flask) -> Watch:
    """Return the watch of an application."""
    return cast(Watch, app.extensions[_NAME])


def current() -> Watch:
    """Return the watch of the application that handles the current request."""
    return of(current_app)


def route_of(rule: Rule | None) -> str:
    """Return what a request is counted by: the rule, for a URL can hold the key to a detection."""
    if rule is None:
        return "(none)"
    return "/static" if rule.endpoint == "static" else rule.rule


def install(app: Flask, connection: redis.Redis) -> None:
    """Note every request of the application; to be installed before what may refuse one."""
    app.extensions[_NAME] = watch = Watch(connection)

    # The first thing that is done for a request: a blueprint looks its detection up as one of these, too.
    @app.url_value_preprocessor
    def begin(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.began = time.perf_counter()
        request_id.set(accepted_request_id(request.headers.get(HEADER)))

    @app.after_request
    def end(response: Response) -> Response:
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        route = route_of(request.url_rule)
        method = request.method if request.method in _METHODS else "(other)"
        watch.tally.add(metrics.REQUESTS, method, route, str(response.status_code))
        watch.tally.observe(metrics.REQUEST_SECONDS, seconds, method, route)
        if (id := request_id.get()) is not None:
            response.headers[HEADER] = id
        level = logging.DEBUG if request.endpoint in _QUIET and response.status_code < 400 else logging.INFO
        log.log(
            level,
            "%s %s %d",
            method,
            route,
            response.status_code,
            extra=facts(
                method=method,
                route=route,
                status=response.status_code,
                seconds=round(seconds, 4),
                received=request.content_length,
                sent=response.calculate_content_length() if response.is_sequence else None,
            ),
        )
        return response

    @app.teardown_request
    def after(error: BaseException | None) -> None:
        request_id.set(None)
        watch.send()
