"""Error responses: JSON for programs, a page with the same message for people, or a dialect's own form."""

import errno
import logging
from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, Flask, Response, current_app, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from flask_detector import errors as e
from flask_detector.jobs.schema import Error, ErrorFacts
from flask_detector.web.core.service import service

log = logging.getLogger(__name__)

# The HTTP status of each error; a class that is not named has that of the nearest one above it.
STATUS: dict[type[e.DetectorError], HTTPStatus] = {
    e.DetectorError: HTTPStatus.INTERNAL_SERVER_ERROR,
    e.PictureError: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.NoPicture: HTTPStatus.BAD_REQUEST,
    e.EmptyPicture: HTTPStatus.BAD_REQUEST,
    e.DamagedPicture: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.NotAPicture: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    e.UnsupportedPicture: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    e.PictureTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    e.TooManyPixels: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    e.UnknownModel: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.ModelNotInstalled: HTTPStatus.CONFLICT,
    e.ModelConflict: HTTPStatus.CONFLICT,
    e.NoMaskHead: HTTPStatus.CONFLICT,
    e.TeachingError: HTTPStatus.CONFLICT,
    e.BadTrainingData: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.UnknownRun: HTTPStatus.NOT_FOUND,
    e.DatasetError: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.DatasetTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    e.UnknownDetection: HTTPStatus.NOT_FOUND,
    e.DetectionExpired: HTTPStatus.GONE,
    e.DetectionNotFinished: HTTPStatus.CONFLICT,
    e.DetectionFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    e.CollectionError: HTTPStatus.CONFLICT,
    e.UnknownCollection: HTTPStatus.NOT_FOUND,
    e.UnknownPicture: HTTPStatus.NOT_FOUND,
    e.CollectionFull: HTTPStatus.INSUFFICIENT_STORAGE,
    e.ServiceError: HTTPStatus.SERVICE_UNAVAILABLE,
    e.ShareUsedUp: HTTPStatus.TOO_MANY_REQUESTS,
    e.RequestError: HTTPStatus.BAD_REQUEST,
    e.UnknownLabel: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.BadAnnotations: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.IfMatchMissing: HTTPStatus.PRECONDITION_REQUIRED,
    e.ChangedMeanwhile: HTTPStatus.PRECONDITION_FAILED,
    e.UnknownFormat: HTTPStatus.NOT_FOUND,
    e.TooManyPictures: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    e.RequestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    e.UnknownEncoding: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    e.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    e.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.AddressRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.AddressUnreachable: HTTPStatus.UNPROCESSABLE_ENTITY,
    e.AccessError: HTTPStatus.FORBIDDEN,
    e.KeyMissing: HTTPStatus.UNAUTHORIZED,
    e.UnknownKey: HTTPStatus.UNAUTHORIZED,
}

_RETRY_AFTER_SECONDS = 5


Report = Callable[[e.DetectorError, HTTPStatus], Response]


class ReportingBlueprint(Blueprint):
    """A blueprint that reports errors in a form of its own.

    report: makes the response; the status is the API's for the error, and may be changed.
    prefix: what begins all paths of these clients, also of those that no route answers; None for none.
    """

    report: Report
    prefix: str | None = None


def install(app: Flask) -> None:
    """Answer every error of the application."""
    app.register_error_handler(e.DetectorError, answer)
    app.register_error_handler(CSRFError, _bad_form_token)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OSError, _of_the_system)
    app.register_error_handler(Exception, _unexpected)


def status_of(kind: type[e.DetectorError]) -> HTTPStatus:
    """Return the HTTP status that errors of a class become."""
    return next(STATUS[known] for known in kind.__mro__ if known in STATUS)


def answer(error: e.DetectorError, status: HTTPStatus | None = None, code: str | None = None) -> Response:
    """Return the response that reports an error: as its dialect has it, as JSON for a program, or as a page.

    status, code: in place of the ones that belong to the error's class.
    """
    status, code = status or status_of(type(error)), code or error.code
    if (blueprint := _blueprint()) is not None:
        response = blueprint.report(error, status)
    elif wants_json():
        facts: ErrorFacts = {"code": code, "message": error.message, "hint": error.hint}
        if isinstance(error, e.BadParameter) and error.field is not None:
            facts["field"] = error.field
        if isinstance(error, e.ChangedMeanwhile):
            facts |= {"changed_at": error.changed_at, "changed_by": error.changed_by}
        body: Error = {"error": facts}
        response = make_response(jsonify(body), status)
    else:
        page = render_template("pages/error.html", status=status, code=code, error=error)
        response = make_response(page, status)
    if error.retry_after is not None or status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(error.retry_after or _RETRY_AFTER_SECONDS)
    if isinstance(error, e.ChangedMeanwhile):
        response.set_etag(error.version)
    if code == e.UnknownEncoding.code:
        response.headers["Accept-Encoding"] = "gzip, deflate"  # RFC 9110, 12.5.3
    return response


def _blueprint() -> "ReportingBlueprint | None":
    """Return the blueprint that reports errors of the current request, also where no route answers it."""
    if request.blueprint is not None:
        found = current_app.blueprints[request.blueprint]
        return found if isinstance(found, ReportingBlueprint) else None
    reporting = [one for one in current_app.blueprints.values() if isinstance(one, ReportingBlueprint)]
    return next((one for one in reporting if one.prefix and request.path.startswith(one.prefix)), None)


def wants_json() -> bool:
    """Return whether the client is a program: asks the API, prefers JSON, or sends where nothing is."""
    if request.path.startswith("/api/"):
        return True
    kinds = ["text/html", "application/json"]
    if request.url_rule is None and request.method not in {"GET", "HEAD"}:
        kinds.reverse()  # a browser asks for a page, most programs for anything
    return request.accept_mimetypes.best_match(kinds) == "application/json"


def _bad_form_token(error: CSRFError) -> Response:
    return answer(e.BadFormToken("The form could not be verified as coming from this site."))


def _too_large(error: RequestEntityTooLarge) -> Response:
    limit = service().settings.max_upload_mb
    if request.path.startswith("/api/v1/"):
        return answer(e.RequestTooLarge("The request has more bytes or more parts than are accepted here."))
    return answer(e.PictureTooLarge(f"The file has more than {limit:g} MB, the most that is accepted."))


def _http_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    hints = {
        HTTPStatus.NOT_FOUND: "Check the URL.",
        HTTPStatus.METHOD_NOT_ALLOWED: "The URL exists, but not for this HTTP method.",
    }
    messages = {HTTPStatus.NOT_FOUND: "Page not found."}
    code = status.phrase.lower().replace(" ", "_").replace("-", "_")
    described = e.RequestError(messages.get(status, f"{status.phrase}."), hint=hints.get(status, ""))
    response = answer(described, status, code)
    for name, value in error.get_headers():
        if name in {"Allow", "Location", "Retry-After"}:
            response.headers[name] = value
    return response


def _of_the_system(error: OSError) -> Response:
    """Report a full disk: large uploads, and files that are made to be sent, go through temporary ones."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return _unexpected(error)
    log.error("there is no room for temporary files: %s", error.strerror)
    return answer(
        e.StorageUnavailable(
            f"The request needs a temporary file, and there is no room for it: {error.strerror}.",
            hint="Check that the disk of the folder for temporary files is not full.",
        )
    )


def _unexpected(error: Exception) -> Response:
    if current_app.testing or current_app.debug:
        raise error
    log.exception("an unexpected error")
    return answer(e.DetectorError("Something went wrong.", hint="It has been logged. Try again in a moment."))
