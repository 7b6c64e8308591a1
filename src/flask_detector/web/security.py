"""The key that signs cookies, form tokens, and the headers that every answer carries."""

import os
import secrets
from collections.abc import Iterable

from flask import Blueprint, Flask, Response
from flask_wtf.csrf import CSRFProtect

from flask_detector.settings import Settings

# Scripts, styles and pictures from here alone; `blob:` shows a thumbnail before the picture is sent.
_CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # A detection's address is the key to it: other sites must not learn it.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def install(app: Flask, *, exempt: Iterable[Blueprint]) -> None:
    """Protect every form of the application, and add the headers to every answer.

    exempt: blueprints that use no cookie, so that no other site can act through a visitor's browser.
    """
    protection = CSRFProtect(app)
    for blueprint in exempt:
        protection.exempt(blueprint)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def secret_key(settings: Settings) -> str:
    """Return SECRET_KEY, or a key that is made once and kept in the data folder."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = settings.data_dir / "secret_key"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".secret_key.{secrets.token_hex(8)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)  # unlike a rename, this keeps the key of a process that was faster
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
