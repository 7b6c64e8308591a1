"""The API's documentation: OpenAPI for programs, and a page rendered from it."""

import json
from typing import Any

from flask import Blueprint, Response, current_app, make_response, render_template, request

from flask_detector.web.api.openapi import document
from flask_detector.web.core.etags import send_if_changed
from flask_detector.web.core.long_poll import MAX_WAIT_SECONDS
from flask_detector.web.core.service import service

page = Blueprint("api_page", __name__, url_prefix="/api")

_MADE = "flask-detector-openapi"


@page.get("/v1/openapi.json")
def openapi() -> Response:
    """Send the description."""
    return send_if_changed(Response(_json(_described()), mimetype="application/json"))


@page.get("/docs")
def docs() -> Response:
    """Show the description."""
    text = render_template(
        "pages/api.html",
        api=_described(),
        settings=service().settings,
        max_wait_seconds=MAX_WAIT_SECONDS,
    )
    return send_if_changed(make_response(text))


def _described() -> dict[str, Any]:
    """Return the description, with the path that a proxy put before the request's own as the server's."""
    described: dict[str, Any] = json.loads(_text())
    described["servers"] = [{"url": request.script_root or "/"}]
    return described


def _text() -> str:
    """Return the description as JSON; the text is kept, since what it is made of takes much more room."""
    if _MADE not in current_app.extensions:
        current_app.extensions[_MADE] = _json(document(current_app))
    text: str = current_app.extensions[_MADE]
    return text


def _json(described: dict[str, Any]) -> str:
    return json.dumps(described, separators=(",", ":"), ensure_ascii=False)
