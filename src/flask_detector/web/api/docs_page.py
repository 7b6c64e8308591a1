"""The API's description: for programs as OpenAPI, for people as a page of ours that is made of the same."""

import json
from typing import Any

from flask import Blueprint, Response, current_app, make_response, render_template

from flask_detector.web.api.openapi import document
from flask_detector.web.core.etags import send_if_changed
from flask_detector.web.core.service import service

page = Blueprint("api_page", __name__, url_prefix="/api")

_MADE = "flask-detector-openapi"


@page.get("/v1/openapi.json")
def openapi() -> Response:
    """Send the description."""
    response = make_response(_text())
    response.headers["Content-Type"] = "application/json"
    return send_if_changed(response)


@page.get("/docs")
def docs() -> Response:
    """Show the description."""
    text = render_template("api.html", api=_described(), settings=service().settings)
    return send_if_changed(make_response(text))


def _described() -> dict[str, Any]:
    described: dict[str, Any] = json.loads(_text())
    return described


def _text() -> str:
    """Return the description as JSON; the text is kept, since what it is made of takes much more room."""
    if _MADE not in current_app.extensions:
        made = json.dumps(document(current_app), separators=(",", ":"), ensure_ascii=False)
        current_app.extensions[_MADE] = made
    text: str = current_app.extensions[_MADE]
    return text
