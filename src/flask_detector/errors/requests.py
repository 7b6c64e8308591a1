"""A request is wrong, or not allowed."""

from flask_detector.errors.base import DetectorError


class RequestError(DetectorError, code="bad_request"):
    """The request itself is wrong."""


class BadParameter(RequestError):
    """A parameter has a value that can't be used."""

    def __init__(self, message: str, *, hint: str | None = None, field: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class BrokenForm(
    RequestError, hint="Let your HTTP client build the form and its Content-Type, and send it again."
):
    """The form with the picture is truncated or malformed."""


class BadFormToken(RequestError, hint="Reload the page and try again; cookies must be allowed."):
    """A form was sent without its CSRF token."""


class UnknownLabel(BadParameter, hint="See /api/v1/labels for a model's labels."):
    """The model has no such label."""


class BadAnnotations(BadParameter, hint="docs/results.md describes the document of annotations."):
    """The objects of a picture, as they were sent, can't be used."""


class IfMatchMissing(RequestError, hint="Send the ETag of the version that you have changed as If-Match."):
    """The request would replace a version without saying which."""


class ChangedMeanwhile(
    RequestError, hint="Nothing was overwritten. Get the current version, change that, and send it again."
):
    """The version to replace is not the current one: somebody else was first."""

    def __init__(self, version: str, changed_at: str | None, changed_by: str | None) -> None:
        """version: the current one. changed_at: ISO 8601, UTC."""
        when = "" if changed_at is None else f", on {changed_at[:10]} at {changed_at[11:19]} UTC"
        super().__init__(f"It was changed meanwhile by {changed_by or 'somebody else'}{when}.")
        self.version, self.changed_at, self.changed_by = version, changed_at, changed_by


class UnknownFormat(RequestError):
    """There is no such export format."""


class TooManyPictures(RequestError, hint="Send them in several requests."):
    """The request has more pictures than are accepted at once."""


class RequestTooLarge(RequestError, hint="Send fewer pictures at once, or plain bytes instead of base64."):
    """The request has more bytes, or more parts, than are accepted at once."""


class UnknownEncoding(RequestError, hint="Send it uncompressed, or in gzip or deflate."):
    """The request's body is compressed in an unsupported way."""


class RateLimited(RequestError, hint="Wait for the number of seconds in Retry-After."):
    """Too many requests."""


class KeyReused(RequestError, code="idempotency_key_reused", hint="Use a new key for each picture."):
    """The idempotency key was already used for another request."""


class AddressRefused(RequestError):
    """A given URL may not be fetched from this server."""


class AddressUnreachable(RequestError, hint="Check the URL, then try again."):
    """A given URL could not be fetched."""


class ForeignHost(RequestError, hint="Use another host name, or add this one to DETECTOR_TRUSTED_HOSTS."):
    """The request's host name does not belong to this installation."""


class AccessError(DetectorError, code="access_denied"):
    """Access is denied."""


class KeyMissing(
    AccessError, hint="Send 'Authorization: Bearer KEY'; 'flask-detector keys create' creates one."
):
    """An API key is required, and the request has none."""


class UnknownKey(AccessError, hint="Check that the whole key was sent, or create a new one."):
    """The API key is unknown or was revoked."""


class KeyNotAllowed(AccessError, hint="Create one with 'flask-detector keys create --admin'."):
    """The API key is valid, but does not allow this."""


class ReadOnly(AccessError, hint="Ask whoever shared it for a link with which it can be changed."):
    """The link lets a collection be looked at, not changed."""
