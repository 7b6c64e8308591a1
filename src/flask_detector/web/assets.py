"""Where scripts, styles and pictures of the pages are found: addresses that change with their content."""

import hashlib
from pathlib import Path
from typing import Any

from flask import Flask, Response

from flask_detector.web.compression import compress

FOLDER = Path(__file__).with_name("static")

# A browser never asks again: after an update of the program the pages name other addresses.
MAX_AGE_SECONDS = 365 * 24 * 3600


def url_path() -> str:
    """Return the path that the folder is served under: one for all files, since scripts name each other."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"{path.relative_to(FOLDER)} {len(content)}\n".encode())
            digest.update(content)
    return f"/static/{digest.hexdigest()[:12]}"


def install(app: Flask) -> None:
    """Send the files compressed, each compressed once, and tell browsers that they never change."""
    send_file = app.view_functions["static"]
    kept: dict[str, bytes] = {}

    def static(**values: Any) -> Response:
        response: Response = send_file(**values)
        response.cache_control.immutable = True
        return compress(response, kept)

    app.view_functions["static"] = static
