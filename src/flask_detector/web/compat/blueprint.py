"""What all dialects have alike: the key that opens them, and errors told in the form that clients know."""

import logging
from collections.abc import Callable, Collection
from http import HTTPStatus

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge, TooManyRequests

from flask_detector.errors import (
    BadParameter,
    DetectionNotFinished,
    DetectorError,
    ModelError,
    PictureTooLarge,
    RequestError,
    ServiceError,
)
from flask_detector.web.core.auth import key_of_request, look_for_key
from flask_detector.web.core.errors import status_of
from flask_detector.web.core.service import service

log = logging.getLogger(__name__)

Tell = Callable[[DetectorError, HTTPStatus], Response]

_RETRY_AFTER_SECONDS = "5"

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Dialect(Blueprint):
    """The addresses of one kind of client.

    tell: makes the answer that tells of an error; the status is the API's for it, and may be changed.
    sent_key: returns the API key where these clients put it; the API's own headers are looked at as well.
    free: the functions that need no key, such as those that only tell that the server is there.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        *,
        tell: Tell,
        sent_key: Callable[[], str | None] = lambda: None,
        free: Collection[str] = (),
    ) -> None:
        super().__init__(name, import_name)
        self._tell = tell
        self._sent_key = sent_key
        self._free = {f"{name}.{function}" for function in free}
        # Before requests are counted, which is by their keys.
        self.url_value_preprocessor(lambda endpoint, values: self._look_for_key())
        self.before_request(self._admit)
        self.after_request(_unkept)
        self.register_error_handler(DetectorError, self._answer)
        # The application has handlers of its own for some statuses, which come before a general one here.
        for kind in (RequestEntityTooLarge, TooManyRequests, HTTPException):
            self.register_error_handler(kind, self._http_error)
        self.register_error_handler(Exception, self._unexpected)

    def _look_for_key(self) -> None:
        if request.endpoint not in self._free:
            look_for_key(self._sent_key)

    def _admit(self) -> None:
        # Where no key is needed, one that is not known does no harm: these clients send others' keys.
        if service().settings.require_keys and request.endpoint not in self._free:
            key_of_request()

    def _answer(self, error: DetectorError) -> Response:
        response = self._tell(error, status_of(error))
        if isinstance(error, ServiceError):
            response.headers["Retry-After"] = str(error.retry_after or _RETRY_AFTER_SECONDS)
        return response

    def _http_error(self, error: HTTPException) -> Response:
        if isinstance(error, RequestEntityTooLarge):
            limit = service().settings.max_upload_mb
            return self._answer(PictureTooLarge(f"At most {limit:g} MB are accepted here."))
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        response = self._tell(RequestError(f"{status.phrase}."), status)
        for name, value in error.get_headers():
            if name in {"Allow", "Location", "Retry-After"}:
                response.headers[name] = value
        return response

    def _unexpected(self, error: Exception) -> Response:
        if current_app.testing or current_app.debug:
            raise error
        log.exception("an unexpected error")
        return self._answer(DetectorError("Something went wrong.", hint="It has been logged."))


def telling(name: str) -> Tell:
    """Return what tells of errors as an object with the words under that name, as most formats do."""

    def tell(error: DetectorError, status: HTTPStatus) -> Response:
        if isinstance(error, ModelError):
            status = HTTPStatus.NOT_FOUND
        elif isinstance(error, DetectionNotFinished):
            status = HTTPStatus.GATEWAY_TIMEOUT
        elif status in {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}:
            status = HTTPStatus.BAD_REQUEST
        response = jsonify({name: str(error)})
        response.status_code = status
        return response

    return tell


def refuse_other_methods() -> None:
    """Raise MethodNotAllowed where another function than the one that answers has the request's address.

    For those that take what is left of a client's addresses.
    """
    addresses = current_app.url_map.bind("localhost")
    allowed = []
    for method in METHODS:
        try:
            rule, _ = addresses.match(request.path, method, return_rule=True)
        except HTTPException:
            continue
        if rule.endpoint != request.endpoint:
            allowed.append(method)
    if allowed:
        raise MethodNotAllowed(allowed)


def unsupported(what: str) -> BadParameter:
    """Return the error for what a format has and this program does not do."""
    return BadParameter(f"{what} is not supported here.", hint="docs/clients.md says what is.")


def _unkept(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    return response
