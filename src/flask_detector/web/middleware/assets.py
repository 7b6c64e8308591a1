"""Static files at URLs that change with their content."""

import hashlib
import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any, cast

from flask import Flask, Response

from flask_detector.web.core.compression import compress

FOLDER = Path(__file__).parents[1] / "static"

# A browser never asks again: after an update of the program the pages name other URLs.
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


@cache
def modules_of(script: str) -> tuple[str, ...]:
    """Return the modules that a script imports, directly or not, as names of files in the folder.

    A page names them all, so that the browser need not find one by reading another.
    """
    found: set[str] = set()
    names = [script]
    while names:
        folder = posixpath.dirname(name := names.pop())
        for imported in _IMPORT.findall((FOLDER / name).read_text(encoding="utf-8")):
            module = posixpath.normpath(posixpath.join(folder, imported))
            if module not in found:
                found.add(module)
                names.append(module)
    return tuple(sorted(found))


_IMPORT = re.compile(r'^(?:import|}).*"(\.[\w./-]+)";$', re.MULTILINE)


def install(app: Flask) -> None:
    """Serve the files compressed, each compressed once, and as immutable."""
    app.jinja_env.globals["modules_of"] = modules_of
    send_file = app.view_functions["static"]
    kept: dict[str, bytes] = {}

    def static(**values: Any) -> Response:
        response = cast(Response, send_file(**values))
        response.cache_control.immutable = True
        return compress(response, kept)

    app.view_functions["static"] = static
