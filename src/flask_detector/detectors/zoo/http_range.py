"""A file on an HTTP server, read from any byte on.

The standard library's client does this well: it follows redirects, goes through the proxies that the
environment (or the system) names, checks certificates and streams. What it lacks for a download, resuming,
is a matter of three headers with any client, so there is no dependency for it.
"""

import http.client
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from flask_detector._version import __version__
from flask_detector.errors import DownloadError

CHUNK = 1 << 18
_MAY_PASS = {408, 425, 429}


class Broken(Exception):
    """A request failed in a way that the next one may not; the text is written for users."""

    def __init__(self, reason: str, *, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Changed(Broken):
    """The bytes from that position on don't belong to what was received before."""


@dataclass(frozen=True)
class Answer:
    """What a server sends: the bytes of the file from `start` on.

    total: the size of the whole file in bytes, or None if the server doesn't tell.
    validator: what identifies this version of the file in a later request, or None.
    chunks: the bytes; iterating raises Broken when the connection breaks, but ends quietly when the server
    closes it early, so compare with `total`.
    """

    start: int
    total: int | None
    validator: str | None
    chunks: Iterator[bytes]


class HttpSource:
    """One file at one address.

    url: http or https; a user name and password in it are sent as basic authentication to that server only.
    timeout: seconds without any byte after which the connection counts as broken.
    by_hand: the hint of an error that says how to do without this server.

    Raises DownloadError when the address is none.
    """

    def __init__(self, url: str, *, timeout: float, by_hand: str) -> None:
        try:
            address = urlsplit(url)
        except ValueError:
            address = urlsplit("")
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise DownloadError(
                f"'{url}' is not the URL of a web server.", hint="It must begin with https:// or http://."
            )
        self.host = address.hostname
        self.url = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
        self._login = _basic_login(address)
        self._timeout = timeout
        self._by_hand = by_hand
        self._opener = build_opener(_Redirects)

    @contextmanager
    def open(self, start: int = 0, validator: str | None = None) -> Iterator[Answer]:
        """Ask for the file, from byte `start` on if it is still the one that `validator` identifies.

        RFC 9110, sections 13.1.5 (If-Range), 14.2 (Range) and 14.4 (Content-Range).

        Raises Broken or Changed when a new try may help, and DownloadError when it can't.
        """
        request = Request(self.url, headers={"User-Agent": f"flask-detector/{__version__}"})  # noqa: S310  # the scheme is checked
        if self._login:
            request.add_unredirected_header("Authorization", self._login)
        if start and validator:
            request.add_header("Range", f"bytes={start}-")
            request.add_header("If-Range", validator)
        try:
            response = self._opener.open(request, timeout=self._timeout)
        except HTTPError as error:
            with error:
                yield self._answer_without_file(error, start, request)
            return
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error, request) from error
        with response:
            yield self._answer(response, start, request)

    def _answer(self, response: http.client.HTTPResponse, start: int, request: Request) -> Answer:
        headers = response.headers
        if response.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
            if span is None or int(span[1]) != start:
                raise Changed(f"{self.host} sent another part than was asked for")
            total = None if span[2] == "*" else int(span[2])
        elif response.status == 200:
            start = 0
            length = headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        else:
            raise self._refusal(response.status, response.reason, request)
        return Answer(start, total, _validator(headers), self._chunks(response, request))

    def _answer_without_file(self, error: HTTPError, start: int, request: Request) -> Answer:
        if error.code == 416:
            # Nothing is left to send, or the file has become shorter than what is here.
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return Answer(start, start, None, iter(()))
            raise Changed(f"the file at {self.host} has changed")
        if error.code in _MAY_PASS or error.code >= 500:
            after = error.headers.get("Retry-After", "")
            raise Broken(
                f"{self.host} returned {error.code} {error.reason}",
                retry_after=float(after) if after.isdigit() else 0.0,
            )
        raise self._refusal(error.code, error.reason, request)

    def _chunks(self, response: http.client.HTTPResponse, request: Request) -> Iterator[bytes]:
        try:
            while chunk := response.read1(CHUNK):
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error, request) from error

    def _refusal(self, status: int, reason: str, request: Request) -> DownloadError:
        who = f"The proxy {self._proxy(request)}" if status == 407 else self.host
        return DownloadError(f"{who} returned {status} {reason} for {self.url}.", hint=self._by_hand)

    def _unreachable(self, error: Exception, request: Request) -> Broken | DownloadError:
        cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, OSError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return DownloadError(
                f"The certificate of {self.host} can't be verified: {cause.verify_message}.",
                hint="If your network has its own certificate authority, set SSL_CERT_FILE to the file "
                f"with its certificates. {self._by_hand}",
            )
        if isinstance(cause, TimeoutError):
            return Broken(f"{self.host} sent nothing for {self._timeout:g} s")
        if isinstance(cause, (http.client.IncompleteRead, ConnectionResetError)):
            return Broken(f"{self.host} ended the connection too early")
        proxy = self._proxy(request)
        reason = (cause.strerror if isinstance(cause, OSError) else "") or str(cause)
        return Broken(
            f"{self.host} can't be reached{f' through the proxy {proxy}' if proxy else ''} ({reason})"
        )

    def _proxy(self, request: Request) -> str | None:
        """Return the proxy that the request went to, which urllib puts in the place of the host."""
        return request.host if request.host != urlsplit(self.url).netloc else None


class _Redirects(HTTPRedirectHandler):
    """Follows redirects from one web server to another, but not from https to http."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in {"https", old}:
            raise DownloadError(
                f"{req.full_url} leads to {newurl}, which is less safe.",
                hint="Check the URL; set DETECTOR_MIRROR_URL to use another server.",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _basic_login(address: SplitResult) -> str | None:
    if address.username is None:
        return None
    login = f"{unquote(address.username)}:{unquote(address.password or '')}"
    return "Basic " + b64encode(login.encode()).decode()


def _validator(headers: http.client.HTTPMessage) -> str | None:
    etag = headers.get("ETag")
    # A weak tag doesn't promise the same bytes.
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
