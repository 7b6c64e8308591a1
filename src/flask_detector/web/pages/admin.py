"""The operator's page: queue, workers and failures, behind an administrator's key.

Its session is one of its own: a random token in a cookie that only these pages get, kept hashed in Redis for
an hour, ended by signing out and by revoking the key.
"""

import hashlib
import logging
import secrets
from http import HTTPStatus
from typing import cast

from flask import Blueprint, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.api_keys import Key, Scope
from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import KeyNotAllowed, UnknownKey
from flask_detector.web.core.responses import back_or
from flask_detector.web.core.service import service
from flask_detector.web.observability.health import what_is_missing

log = logging.getLogger(__name__)

blueprint = Blueprint("operator", __name__, url_prefix="/admin")

_COOKIE = "operator"
_SESSION_SECONDS = 3600
_ROWS = 20


@blueprint.before_request
def _require_session() -> AnyResponse | None:
    """Send whoever has no session to the form that begins one."""
    return None if request.endpoint in {"operator.login", "operator.begin"} else require_operator()


def require_operator(back: str | None = None) -> AnyResponse | None:
    """Return the way to the form that begins a session for whoever has none.

    back: the page that it leads to then.
    """
    return redirect(url_for("operator.login", back=back), 303) if operator() is None else None


@blueprint.get("")
def show() -> str:
    """Show how queue and workers are doing, and what failed lately."""
    overview = service().overview
    return render_template(
        "pages/operator.html",
        operator=operator(),
        missing=what_is_missing(service()),
        numbers=overview.numbers(),
        settings=service().settings,
        workers=service().jobs.workers(),
        running=overview.running(_ROWS),
        waiting=overview.waiting(_ROWS),
        failed=overview.failed(_ROWS),
        failed_count=overview.failed_count(),
        retried=request.args.get("retried", type=int),
        cancelled=request.args.get("cancelled", type=int),
    )


@blueprint.get("/login")
def login() -> AnyResponse | str:
    """Show the form that asks for an administrator's key."""
    if operator() is not None:
        return redirect(url_for("operator.show"), 303)
    return render_template("pages/operator_login.html", refusal=None)


@blueprint.post("/login")
def begin() -> AnyResponse | tuple[str, int]:
    """Begin a session, if the key is an administrator's."""
    try:
        key = service().keys.check(request.form.get("key", "").strip())
        if key.scope is not Scope.ADMIN:
            raise KeyNotAllowed("This key gives access to the API, but not to this page.")
    except (UnknownKey, KeyNotAllowed) as refusal:
        log.warning("operator sign-in refused: %s", refusal.code)
        return render_template("pages/operator_login.html", refusal=refusal), HTTPStatus.FORBIDDEN
    token = secrets.token_urlsafe(32)
    with reaching_redis():
        service().connection.set(_session(token), key.id, ex=_SESSION_SECONDS)
    log.info("an operator signed in with the key %s", key.id)
    answer = make_response(redirect(back_or(url_for("operator.show")), 303))
    answer.set_cookie(
        _COOKIE,
        token,
        max_age=_SESSION_SECONDS,
        path=url_for("operator.show"),
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return answer


@blueprint.post("/logout")
def end() -> AnyResponse:
    """End the session, here and for whoever else has its cookie."""
    with reaching_redis():
        service().connection.delete(_session(request.cookies.get(_COOKIE, "")))
    answer = make_response(redirect(url_for("operator.login"), 303))
    answer.delete_cookie(_COOKIE, path=url_for("operator.show"))
    return answer


@blueprint.post("/retry")
def retry() -> AnyResponse:
    """Queue again what failed for another reason than its picture."""
    count = service().overview.retry_failed()
    log.info("an operator retried %d failed detections", count)
    return redirect(url_for("operator.show", retried=count), 303)


@blueprint.post("/empty")
def empty() -> AnyResponse:
    """Cancel everything that waits."""
    count = service().overview.cancel_waiting()
    log.info("an operator cancelled %d waiting detections", count)
    return redirect(url_for("operator.show", cancelled=count), 303)


def operator() -> Key | None:
    """Return the key by which the request's sender is signed in here."""
    if "operator" not in g:
        g.operator = _signed_in()
    key: Key | None = g.operator
    return key


def _signed_in() -> Key | None:
    token = request.cookies.get(_COOKIE)
    if not token:
        return None
    with reaching_redis():
        id = cast(bytes | None, service().connection.get(_session(token)))
    if id is None:
        return None
    keys = [key for key in service().keys.list() if key.id == id.decode() and key.scope is Scope.ADMIN]
    return keys[0] if keys else None


def _session(token: str) -> str:
    return f"flask-detector:operator:{hashlib.sha256(token.encode()).hexdigest()}"
