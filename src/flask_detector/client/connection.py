"""HTTP with one server: what is sent with each request, retries, and failures in words."""

import http.client
import json
import ssl
from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from flask_detector._version import __version__
from flask_detector.errors import DetectorError

_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # before retries after a connection failure
_LONGEST_PAUSE = 60.0
_MOST_PAUSES = 60  # before retries that a busy server asks for
_LARGEST_ANSWER = 256_000_000


class ServerError(DetectorError):
    """The server can't be used, for any picture."""


class Refused(DetectorError):
    """The server rejected the picture or the request, or failed on it."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.code = code  # type: ignore[misc]  # it is the server's


class Connection:
    """HTTP with one server, with an API key if there is one; may be used from several threads.

    Raises ServerError if the URL or the key is invalid.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float, sleep: Callable[[float], None]) -> None:
        try:
            address = urlsplit(url)
            usable = address.scheme in {"http", "https"} and bool(address.hostname)
        except ValueError:
            usable = False
        if not usable:
            raise ServerError(
                f"'{url}' is not the URL of a server.", hint="It must begin with http:// or https://."
            )
        self.url = url.rstrip("/")
        self._headers = {"User-Agent": f"flask-detector/{__version__}", "Accept": "application/json"}
        if api_key is not None:
            if not api_key.isascii() or not api_key.isprintable():
                raise ServerError("The API key contains invalid characters.")
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeout = timeout
        self._sleep = sleep
        self._opener = build_opener(_NoRedirects)

    def call(
        self,
        path: str,
        headers: dict[str, str],
        body: bytes | None = None,
        method: str | None = None,
        read: Callable[[Any], dict[str, Any]] | None = None,
    ) -> tuple[dict[str, Any], Message]:
        """Return the JSON of a response and its headers; retries temporary failures of network or server."""
        url = f"{self.url}/api/v1{path}"
        request = Request(url, data=body, headers={**self._headers, **headers}, method=method)  # noqa: S310  # the user named the server
        pauses = iter(_PAUSES)
        for _ in range(_MOST_PAUSES):
            try:
                with self._opener.open(request, timeout=self._timeout) as response:
                    return (read or self._read)(response), response.headers
            except HTTPError as error:
                with error:
                    self._sleep(self._pause_after(error))
            except (OSError, http.client.HTTPException) as error:
                pause = next(pauses, None)
                if pause is None or _is_final(error):
                    raise self._unreachable(error) from error
                self._sleep(pause)
        raise ServerError(f"{self.url} has been busy for too long.", hint="Try again later.")

    def _pause_after(self, error: HTTPError) -> float:
        """Return the seconds to wait before a retry; raises the server's error if a retry is useless."""
        try:
            refusal = refusal_in(self._json(error.read(_LARGEST_ANSWER)))
        except (ServerError, OSError, http.client.HTTPException):
            refusal = None
        if error.code in {429, 503}:
            after = error.headers.get("Retry-After", "")
            return min(float(after), _LONGEST_PAUSE) if after.isdigit() else 1.0
        if error.code in {301, 302, 303, 307, 308}:
            raise ServerError(
                f"{self.url} redirects to {error.headers.get('Location', 'elsewhere')}.",
                hint="Use that URL.",
            )
        if refusal is None:
            raise self.strange(f"returned {error.code} {error.reason}")
        if error.code in {401, 403}:
            raise ServerError(refusal.message, hint="Set a key with --api-key or DETECTOR_API_KEY.")
        raise refusal

    def _read(self, response: Any) -> dict[str, Any]:
        data = response.read(_LARGEST_ANSWER)
        return {} if response.status == HTTPStatus.NO_CONTENT else self._json(data)

    def _json(self, data: bytes) -> dict[str, Any]:
        try:
            form = json.loads(data)
        except ValueError as error:
            raise self.strange() from error
        if not isinstance(form, dict):
            raise self.strange()
        return form

    def strange(self, what: str = "is not a flask-detector server") -> ServerError:
        """Return the error of a server that answers what the API doesn't."""
        return ServerError(f"{self.url} {what}.", hint="Check the server's URL and version.")

    def _unreachable(self, error: Exception) -> ServerError:
        cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, OSError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ServerError(
                f"The certificate of {self.url} can't be verified: {cause.verify_message}.",
                hint="If your network has its own certificate authority, set SSL_CERT_FILE.",
            )
        reason = (cause.strerror if isinstance(cause, OSError) else "") or str(cause) or type(cause).__name__
        return ServerError(
            f"{self.url} can't be reached ({reason}).", hint="Check the URL, and that the server is running."
        )


class _NoRedirects(HTTPRedirectHandler):
    """Pictures and keys are only sent to the given server."""

    def redirect_request(self, *_: Any) -> None:
        return None


def refusal_in(form: dict[str, Any]) -> Refused | None:
    """Return the error in what the API returned, if there is one."""
    error = form.get("error")
    if not isinstance(error, dict):
        return None
    return Refused(*(str(error.get(name, "")) for name in ("code", "message", "hint")))


def _is_final(error: Exception) -> bool:
    reason = error.reason if isinstance(error, URLError) else error
    return isinstance(reason, ssl.SSLCertVerificationError)
