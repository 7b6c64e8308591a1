"""The base of all dialects: API keys, and errors in the form that clients expect."""

from collections.abc import Callable, Collection
from http import HTTPStatus

from flask import Response, make_response, request

from flask_detector.errors import (
    BadParameter,
    DetectionNotFinished,
    DetectorError,
    ModelError,
)
from flask_detector.web.core.auth import key_of_request, look_for_key
from flask_detector.web.core.errors import Report, ReportingBlueprint
from flask_detector.web.core.service import service


class Dialect(ReportingBlueprint):
    """The routes of one kind of client.

    report, prefix: as in ReportingBlueprint.
    sent_key: returns the API key where these clients put it; the API's own headers are looked at as well.
    free: the functions that need no key, such as those that only report that the server is there.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        *,
        report: Report,
        prefix: str | None = None,
        sent_key: Callable[[], str | None] = lambda: None,
        free: Collection[str] = (),
    ) -> None:
        super().__init__(name, import_name)
        self.report, self.prefix = report, prefix
        self._sent_key = sent_key
        self._free = {f"{name}.{function}" for function in free}
        # Before requests are counted, which is by their keys.
        self.url_value_preprocessor(lambda endpoint, values: self._look_for_key())
        self.before_request(self._admit)

    def _look_for_key(self) -> None:
        if request.endpoint not in self._free:
            look_for_key(self._sent_key)

    def _admit(self) -> None:
        # Where no key is needed, one that is not known does no harm: these clients send others' keys.
        if service().settings.require_keys and request.endpoint not in self._free:
            key_of_request()


def reporting(name: str) -> Report:
    """Return what reports errors as an object with the message under that name, as most formats do."""

    def report(error: DetectorError, status: HTTPStatus) -> Response:
        if isinstance(error, ModelError):
            status = HTTPStatus.NOT_FOUND
        elif isinstance(error, DetectionNotFinished):
            status = HTTPStatus.GATEWAY_TIMEOUT
        elif status in {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}:
            status = HTTPStatus.BAD_REQUEST
        return make_response({name: str(error)}, status)

    return report


def unsupported(what: str) -> BadParameter:
    """Return the error for what a format has and this program does not do."""
    return BadParameter(f"{what} is not supported here.", hint="docs/clients.md says what is.")
