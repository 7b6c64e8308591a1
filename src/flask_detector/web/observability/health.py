"""Health checks and metrics: /healthz, /readyz, /metrics."""

import time
from functools import lru_cache

import redis
from flask import Blueprint, Response, make_response, request

from flask_detector.errors import BrokerUnavailable, DetectorError
from flask_detector.web.core.auth import require_admin
from flask_detector.web.core.service import Service, service
from flask_detector.web.observability import prometheus as exposition
from flask_detector.web.observability import request_log

blueprint = Blueprint("probes", __name__)

# Storage is written to for a probe at most this often, in seconds: probes come every few of them.
_STORAGE_SECONDS = 10.0

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_THIS_MACHINE = ("127.0.0.1", "::1")


@blueprint.get("/healthz")
def healthz() -> str:
    """Answer that this process is alive."""
    return "ok\n"


@blueprint.get("/readyz")
def readyz() -> Response:
    """Report whether the installation can detect: 200, or 503 that names what is missing."""
    missing = what_is_missing(service())
    return make_response({"ready": not missing, "missing": missing}, 503 if missing else 200)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Send what Prometheus collects, over all processes of the installation."""
    if not _may_read_metrics():
        require_admin()
    request_log.current().send(at_once=True)
    return Response(exposition.text(service()), content_type=exposition.CONTENT_TYPE)


def what_is_missing(service: Service) -> list[dict[str, str]]:
    """Return what keeps this installation from detecting: "redis", "worker" or "storage", each with why."""
    missing = []
    try:
        if not any(worker.model for worker in service.jobs.workers()):
            missing.append(
                _lack("worker", "No worker with a loaded model has reported in the last ten seconds.")
            )
    except BrokerUnavailable as error:
        missing.append(_lack("redis", error.message))
    except redis.RedisError:
        missing.append(_lack("redis", "Redis answers, but refuses its commands."))
    if (why := _storage_trouble(service, int(time.monotonic() / _STORAGE_SECONDS))) is not None:
        missing.append(_lack("storage", why))
    return missing


def _lack(what: str, why: str) -> dict[str, str]:
    return {"what": what, "why": why}


def _may_read_metrics() -> bool:
    setting = service().settings.metrics
    if setting != "auto":
        return setting == "open"
    # Behind a proxy on this machine everybody seems to come from it.
    came_directly = not any(name in request.headers for name in _FORWARDED)
    return request.remote_addr in _THIS_MACHINE and came_directly


@lru_cache(maxsize=1)
def _storage_trouble(service: Service, period: int) -> str | None:
    """Return why the storage can't be written to, or None; asked once in a period."""
    try:
        service.storage.check()
    except DetectorError as error:
        return error.message
    return None
