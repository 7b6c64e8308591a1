"""Every failure that a user can meet, as one tree.

::

    DetectorError
    ├── PictureError               the picture can't be used
    │   ├── NoPicture
    │   ├── EmptyPicture
    │   ├── NotAPicture
    │   ├── UnsupportedPicture     a picture, but of a kind that can't be read here
    │   ├── DamagedPicture
    │   ├── PictureTooLarge        too many bytes
    │   └── TooManyPixels
    ├── ModelError                 the model can't be used
    │   ├── UnknownModel
    │   ├── ModelNotInstalled
    │   ├── CheckpointError        a weights file that can't be read
    │   │   ├── UnsafeCheckpoint   it names code to run
    │   │   └── ForeignCheckpoint  another network's, or of another shape
    │   └── DownloadError
    ├── DetectionError             the detection asked for can't be shown
    │   ├── UnknownDetection
    │   ├── DetectionExpired
    │   ├── DetectionNotFinished
    │   └── DetectionFailed
    ├── ServiceError               this installation can't do it right now
    │   ├── QueueFull
    │   ├── ShareUsedUp
    │   ├── BrokerUnavailable
    │   └── StorageUnavailable
    ├── RequestError               the request itself is wrong
    │   ├── BadParameter           names the field
    │   │   └── UnknownLabel
    │   ├── BrokenForm             cut short, or without its boundary
    │   ├── BadFormToken
    │   ├── ForeignHost
    │   ├── UnknownFormat
    │   ├── TooManyPictures
    │   ├── RequestTooLarge
    │   ├── UnknownEncoding        a body that is compressed in a way that is not read here
    │   ├── RateLimited
    │   ├── KeyReused              the same idempotency key with another request
    │   ├── AddressRefused         an address that may not be asked
    │   └── AddressUnreachable
    ├── AccessError                whoever asks may not
    │   ├── KeyMissing
    │   ├── UnknownKey
    │   └── KeyNotAllowed
    └── SettingsError              the installation is set up wrongly

An error carries a ``code`` (closed list: one per class), a ``message`` that says what is the matter and a
``hint`` that says what to do. Both are written for users, and so is the first line of each class's docstring:
the API's description and docs/api.md say it of the code. Which HTTP status a code becomes is known to
``web/errors.py`` alone.
"""

from typing import ClassVar


class DetectorError(Exception):
    """An unexpected error; see the log.

    The base of all errors that are meant for a user.
    """

    code: ClassVar[str] = "internal_error"
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, retry_after: int | None = None) -> None:
        """retry_after: the seconds after which the same request may succeed, where that is known."""
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class PictureError(DetectorError):
    """The picture can't be used."""

    code = "bad_picture"


class NoPicture(PictureError):
    """The request contains no picture."""

    code = "no_picture"
    default_hint = "Choose a picture and send it again."


class EmptyPicture(PictureError):
    """The file has no bytes."""

    code = "empty_picture"
    default_hint = "Check that the file opens on your computer, then send it again."


class NotAPicture(PictureError):
    """The file is not in a known picture format."""

    code = "not_a_picture"
    default_hint = "Send a JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF picture."


class UnsupportedPicture(PictureError):
    """The file is a picture, but of a kind that is not supported."""

    code = "unsupported_picture"
    default_hint = "Open it in an image editor, save it as JPEG or 8-bit PNG, and send that."


class DamagedPicture(PictureError):
    """The file starts as a picture but is cut short or corrupt."""

    code = "damaged_picture"
    default_hint = (
        "The file may not have been copied completely. Send the original again; if it opens in other "
        "programs, save it there as JPEG or PNG and send that."
    )


class PictureTooLarge(PictureError):
    """The file has more bytes than this installation accepts."""

    code = "picture_too_large"
    default_hint = "Send a smaller file, for example a JPEG of the same picture."


class TooManyPixels(PictureError):
    """The picture has more pixels than this installation accepts."""

    code = "too_many_pixels"
    default_hint = "Scale the picture down and send it again."


class ModelError(DetectorError):
    """The model can't be used."""

    code = "model_error"


class UnknownModel(ModelError):
    """No model has that name."""

    code = "unknown_model"
    default_hint = "Run 'flask-detector models' to list the names."


class ModelNotInstalled(ModelError):
    """The model exists, but its weights are not on this machine."""

    code = "model_not_installed"


class CheckpointError(ModelError):
    """A weights file can't be read."""

    code = "bad_checkpoint"
    default_hint = "Download or copy the file again."


class UnsafeCheckpoint(CheckpointError):
    """A weights file asks for something other than tensors and plain containers."""

    code = "unsafe_checkpoint"
    default_hint = "None of it was executed. Use a checkpoint from a source that you trust."


class ForeignCheckpoint(CheckpointError):
    """A weights file is of another network, or lacks tensors, or has others or other shapes."""

    code = "foreign_checkpoint"
    default_hint = "Use a checkpoint of Mask R-CNN R-50 FPN from MMDetection or torchvision."


class DownloadError(ModelError):
    """A weights file could not be fetched."""

    code = "download_failed"


class DetectionError(DetectorError):
    """The detection asked for can't be shown."""

    code = "detection_error"


class UnknownDetection(DetectionError):
    """No detection has that id."""

    code = "unknown_detection"
    default_hint = "Check the URL, or send the picture again."


class DetectionExpired(DetectionError):
    """The detection existed; it and its picture have been deleted."""

    code = "detection_expired"
    default_hint = "Send the picture again."


class DetectionNotFinished(DetectionError):
    """The detection has no result yet."""

    code = "detection_not_finished"
    default_hint = "Ask again in a moment."


class DetectionFailed(DetectionError):
    """The detection ended without a result."""

    code = "detection_failed"
    default_hint = "Try again; if it fails again, see the worker's log."


class ServiceError(DetectorError):
    """The service is temporarily unavailable; the same request may succeed later."""

    code = "service_unavailable"
    default_hint = "Try again in a moment."


class QueueFull(ServiceError):
    """Too many pictures are already waiting."""

    code = "queue_full"


class ShareUsedUp(ServiceError):
    """The sender has reached the limit of waiting pictures per client."""

    code = "share_used_up"
    default_hint = "Wait until some of them are done; Retry-After gives the seconds."


class BrokerUnavailable(ServiceError):
    """Redis can't be reached."""

    code = "broker_unavailable"
    default_hint = "Nothing is lost. Try again in a moment."


class StorageUnavailable(ServiceError):
    """Pictures can't be written or read."""

    code = "storage_unavailable"


class RequestError(DetectorError):
    """The request itself is wrong."""

    code = "bad_request"


class BadParameter(RequestError):
    """A parameter has a value that can't be used."""

    code = "bad_parameter"

    def __init__(self, message: str, *, hint: str | None = None, field: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class BrokenForm(RequestError):
    """The form with the picture is truncated or malformed."""

    code = "broken_form"
    default_hint = "Let your HTTP client build the form and its Content-Type itself, and send it again."


class BadFormToken(RequestError):
    """A form was sent without its CSRF token."""

    code = "bad_form_token"
    default_hint = "Reload the page and try again; cookies must be allowed."


class UnknownLabel(BadParameter):
    """The model has no such label."""

    code = "unknown_label"
    default_hint = "See /api/v1/labels for a model's labels."


class UnknownFormat(RequestError):
    """There is no such export format."""

    code = "unknown_format"


class TooManyPictures(RequestError):
    """The request has more pictures than are accepted at once."""

    code = "too_many_pictures"
    default_hint = "Send them in several requests."


class RequestTooLarge(RequestError):
    """The request has more bytes, or more parts, than are accepted at once."""

    code = "request_too_large"
    default_hint = "Send fewer pictures at once, or the bytes of a picture as they are instead of base64."


class UnknownEncoding(RequestError):
    """The request's body is compressed in an unsupported way."""

    code = "unknown_encoding"
    default_hint = "Send it uncompressed, or use gzip or deflate."


class RateLimited(RequestError):
    """Too many requests."""

    code = "rate_limited"
    default_hint = "Wait for the number of seconds in Retry-After."


class KeyReused(RequestError):
    """The idempotency key was already used for another request."""

    code = "idempotency_key_reused"
    default_hint = "Use a new key for each picture; reuse one only to retry the same request."


class AddressRefused(RequestError):
    """A given URL may not be fetched from this server."""

    code = "address_refused"


class AddressUnreachable(RequestError):
    """A given URL could not be fetched."""

    code = "address_unreachable"
    default_hint = "Check that the URL opens, then try again."


class ForeignHost(RequestError):
    """The request's host name does not belong to this installation."""

    code = "foreign_host"
    default_hint = "Use a host name of this installation, or add this one to DETECTOR_TRUSTED_HOSTS."


class AccessError(DetectorError):
    """Access is denied."""

    code = "access_denied"


class KeyMissing(AccessError):
    """An API key is required, and the request has none."""

    code = "key_missing"
    default_hint = "Send it as 'Authorization: Bearer KEY'; create one with 'flask-detector keys create'."


class UnknownKey(AccessError):
    """The API key is unknown or was revoked."""

    code = "unknown_key"
    default_hint = "Check that the whole key was sent; create a new one with 'flask-detector keys create'."


class KeyNotAllowed(AccessError):
    """The API key is valid, but does not allow this."""

    code = "key_not_allowed"
    default_hint = "Use a key created with 'flask-detector keys create --admin'."


class SettingsError(DetectorError):
    """The installation is misconfigured."""

    code = "bad_settings"


def codes() -> list[str]:
    """Return the codes of all errors of this module; what only the command line meets is defined there."""
    return list(_kinds())


def kind_of(code: str) -> type[DetectorError]:
    """Return the class of error that has that code; DetectorError for a code that is not known."""
    return _kinds().get(code, DetectorError)


def _kinds() -> dict[str, type[DetectorError]]:
    kinds = [kind for kind in globals().values() if isinstance(kind, type)]
    return {kind.code: kind for kind in kinds if issubclass(kind, DetectorError)}
