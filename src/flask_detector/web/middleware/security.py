"""The secret key, CSRF protection, host names, and the headers of every response."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_wtf.csrf import CSRFProtect
from itsdangerous import BadSignature
from werkzeug.http import parse_list_header
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_detector.errors import ForeignHost
from flask_detector.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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

# What the pages never ask a browser for; the camera takes a picture to send.
_UNUSED = ("display-capture", "geolocation", "hid", "microphone", "midi", "payment", "serial", "usb")

HEADERS = {
    "Cache-Control": "no-store",  # unless a route says otherwise
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # A detection's URL is the key to it: other sites must not learn it.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), " + ", ".join(f"{name}=()" for name in _UNUSED),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# What styles, scripts and icons need of these: the others are about documents, and longer than some files.
_OF_ASSETS = ("X-Content-Type-Options", "Cross-Origin-Resource-Policy")

# A browser that came by TLS once never comes without it again.
_HSTS = f"max-age={365 * 24 * 3600}"


_SESSION_SECONDS = 365 * 24 * 3600

_PORT = re.compile(r":\d*$")


class _Sessions(SecureCookieSessionInterface):
    """Sessions whose cookie is named after the key; what comes by an old key's name moves to the new one."""

    def __init__(self, old_names: Sequence[str]) -> None:
        self._old_names = old_names

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request."""
        session = super().open_session(app, request)
        serializer = self.get_signing_serializer(app)
        if session or serializer is None:
            return session
        for old in filter(None, map(request.cookies.get, self._old_names)):
            with suppress(BadSignature):
                session = self.session_class(serializer.loads(old, max_age=_SESSION_SECONDS))
                session.modified = True
        return session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Send the session's cookie where it has changed, and take back the one of an old name."""
        super().save_session(app, session, response)
        for name in set(self._old_names) & set(request.cookies):
            response.delete_cookie(
                name,
                path=self.get_cookie_path(app),
                secure=self.get_cookie_secure(app),
                httponly=self.get_cookie_httponly(app),
                samesite=self.get_cookie_samesite(app),
            )

    def get_cookie_secure(self, app: Flask) -> bool:
        """Let the cookie go over TLS alone where the request came by it."""
        return request.is_secure

    def get_cookie_path(self, app: Flask) -> str:
        """Keep the cookie to the path that a proxy put before ours: others may serve the rest of the host."""
        return request.script_root or "/"


def keys(settings: Settings) -> dict[str, Any]:
    """Return Flask's settings for SECRET_KEY, the keys before it, and the session cookie."""
    key, old = secret_key(settings), settings.old_secret_keys
    return {
        "SECRET_KEY": key,
        "SECRET_KEY_FALLBACKS": old,
        # Flask-WTF does not look at them: pages that were open before keep their forms.
        "WTF_CSRF_SECRET_KEY": [*old, key],
        "SESSION_COOKIE_NAME": cookie_name(key),
        "PERMANENT_SESSION_LIFETIME": timedelta(seconds=_SESSION_SECONDS),
    }


def install(app: Flask, settings: Settings, *, exempt: Iterable[Blueprint]) -> None:
    """Protect every form of the application, and add the headers to every answer.

    exempt: blueprints that use no cookie, so that no other site can act through a visitor's browser.
    """
    app.session_interface = _Sessions([cookie_name(key) for key in settings.old_secret_keys])
    _check_hosts(app, settings.allowed_hosts)
    if (number := settings.trusted_proxies) > 0:
        app.wsgi_app = _believing(app.wsgi_app, number)  # type: ignore[assignment,method-assign]  # as Flask's documentation does
    protection = CSRFProtect(app)
    for blueprint in exempt:
        protection.exempt(blueprint)

    @app.after_request
    def add_headers(response: Response) -> Response:
        is_asset = request.endpoint == "static" and response.status_code < HTTPStatus.BAD_REQUEST
        for name in _OF_ASSETS if is_asset else HEADERS:
            response.headers.setdefault(name, HEADERS[name])
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = _HSTS
        if response.status_code == HTTPStatus.UNAUTHORIZED:  # RFC 9110, 15.5.2
            response.headers.setdefault("WWW-Authenticate", "Bearer")
        return response


def _believing(app: "WSGIApplication", number: int) -> "WSGIApplication":
    """Return the application as it is reached through so many proxies.

    Each of them adds the address that it was asked from, but one often says alone by which protocol, host and
    path people come, and the others hand that on.
    """
    fixed = ProxyFix(app, x_for=number, x_proto=1, x_host=1, x_port=1, x_prefix=1)

    def reached(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        for name in ("PROTO", "HOST", "PORT", "PREFIX"):
            if entries := parse_list_header(environ.get(f"HTTP_X_FORWARDED_{name}", "")):
                environ[f"HTTP_X_FORWARDED_{name}"] = entries[-number:][0]
        # Written with and without slashes around it; two before it would be a host's name.
        prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").strip("/")
        environ["HTTP_X_FORWARDED_PREFIX"] = f"/{prefix}" if prefix else ""
        return fixed(environ, start_response)

    return reached


def _check_hosts(app: Flask, allowed: list[str] | None) -> None:
    """Refuse requests for other host names. A name with a dot before it stands for all names under it."""
    if allowed is None:
        return
    names = {name.lower() for name in allowed}

    # Flask's own TRUSTED_HOSTS knows no IPv6 addresses, and its refusal can't be shown as a page.
    @app.url_value_preprocessor
    def check(endpoint: str | None, values: dict[str, Any] | None) -> None:
        host = _PORT.sub("", request.host.lower())
        parents = {host[place:] for place, c in enumerate(host) if c == "."}
        if host not in names and not parents & names:
            raise ForeignHost("That host name does not belong to this installation.")


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


def cookie_name(key: str) -> str:
    """Return the name of the session's cookie: a browser sends one host's cookies to all of its ports.

    Two installations on one host would otherwise overwrite each other's; one installation's web processes
    have one key and so one name.
    """
    return f"session_{hashlib.sha256(b'cookie ' + key.encode()).hexdigest()[:8]}"
