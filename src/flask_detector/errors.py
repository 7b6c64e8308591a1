"""Every failure that a user can meet, as one tree.

::

    DetectorError
    ├── PictureError               the picture can't be used
    │   ├── NoPicture
    │   ├── EmptyPicture
    │   ├── NotAPicture
    │   ├── UnsupportedPicture     a picture of an unsupported kind
    │   ├── DamagedPicture
    │   ├── PictureTooLarge        too many bytes
    │   └── TooManyPixels
    ├── ModelError                 the model can't be used
    │   ├── UnknownModel
    │   ├── ModelConflict          it is there already, built in, in work or waited for
    │   ├── ModelNotInstalled
    │   ├── NoMaskHead
    │   ├── CheckpointError        a weights file that can't be read
    │   │   ├── UnsafeCheckpoint   it names code to run
    │   │   └── ForeignCheckpoint  another network's, or of another shape
    │   ├── DownloadError
    │   └── TeachingError          a model can't be taught
    │       ├── BadTrainingData
    │       └── UnknownRun
    ├── DatasetError               the data set can't be imported
    │   ├── UnknownDataset
    │   └── DatasetTooLarge
    ├── DetectionError             the requested detection can't be shown
    │   ├── UnknownDetection
    │   ├── DetectionExpired
    │   ├── DetectionNotFinished
    │   └── DetectionFailed
    ├── CollectionError            the collection can't be used
    │   ├── UnknownCollection
    │   ├── UnknownPicture         it is not in the collection
    │   └── CollectionFull
    ├── ServiceError               temporarily unavailable
    │   ├── QueueFull
    │   ├── ShareUsedUp
    │   ├── BrokerUnavailable
    │   └── StorageUnavailable
    ├── RequestError               the request itself is wrong
    │   ├── BadParameter           names the field
    │   │   ├── UnknownLabel
    │   │   └── BadAnnotations
    │   ├── IfMatchMissing
    │   ├── ChangedMeanwhile       somebody else was first
    │   ├── BrokenForm             truncated or malformed
    │   ├── BadFormToken
    │   ├── ForeignHost
    │   ├── UnknownFormat
    │   ├── TooManyPictures
    │   ├── RequestTooLarge
    │   ├── UnknownEncoding        an unsupported Content-Encoding
    │   ├── RateLimited
    │   ├── KeyReused              an idempotency key of another request
    │   ├── AddressRefused         a URL that may not be fetched
    │   └── AddressUnreachable
    ├── AccessError                access is denied
    │   ├── KeyMissing
    │   ├── UnknownKey
    │   ├── KeyNotAllowed
    │   └── ReadOnly               a link to look at a collection only
    └── SettingsError              the installation is misconfigured

An error has a ``code`` (closed list: one per class, the class's name in snake case unless it says another),
a ``message`` (what is wrong) and a ``hint`` (what to do). The last two are written for users, and so is the
first line of each class's docstring, which OpenAPI and docs/api.md show as the meaning of the code. Only
``web/core/errors.py`` knows HTTP statuses.
"""

import re
from typing import ClassVar


class DetectorError(Exception):
    """An unexpected error; see the log.

    The base class of all errors that are shown to users.
    """

    code: ClassVar[str] = "internal_error"
    default_hint: ClassVar[str] = ""

    def __init_subclass__(cls, *, code: str | None = None, hint: str | None = None) -> None:
        """code: by default the class's name in snake case. hint: of errors without their own."""
        super().__init_subclass__()
        cls.code = code or re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.default_hint = cls.default_hint if hint is None else hint

    def __init__(self, message: str, *, hint: str | None = None, retry_after: int | None = None) -> None:
        """retry_after: seconds after which the same request may succeed, if known."""
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class PictureError(DetectorError, code="bad_picture"):
    """The picture can't be used."""


class NoPicture(PictureError, hint="Choose a picture and send it again."):
    """The request contains no picture."""


class EmptyPicture(PictureError, hint="Check that the file opens on your computer, then send it again."):
    """The file has no bytes."""


class NotAPicture(PictureError, hint="Send a JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF picture."):
    """The file is not in a known picture format."""


class UnsupportedPicture(
    PictureError, hint="Save it as JPEG or 8-bit PNG in an image editor, and send that."
):
    """The file is a picture, but of a kind that is not supported."""


class DamagedPicture(
    PictureError, hint="Send the original again. If it opens in other programs, save it there as JPEG or PNG."
):
    """The file starts as a picture but is cut short or corrupt."""


class PictureTooLarge(PictureError, hint="Send a smaller file, for example a JPEG of the same picture."):
    """The file has more bytes than this installation accepts."""


class TooManyPixels(PictureError, hint="Scale the picture down and send it again."):
    """The picture has more pixels than this installation accepts."""


class ModelError(DetectorError):
    """The model can't be used."""


class UnknownModel(ModelError, hint="Run 'flask-detector models' to list the names."):
    """No model has that name."""


class ModelConflict(ModelError):
    """The model can't be installed, added or removed as things stand."""


class ModelNotInstalled(ModelError):
    """The model exists, but its weights are not on this machine."""


class NoMaskHead(ModelError, hint="Draw the outline, or detect again with a model that has masks."):
    """The model finds boxes alone, so that it can't make masks of given boxes."""


class CheckpointError(ModelError, code="bad_checkpoint", hint="Download or copy the file again."):
    """A weights file can't be read."""


class UnsafeCheckpoint(CheckpointError, hint="Nothing was executed. Use a checkpoint that you trust."):
    """A weights file contains something other than tensors and plain containers."""


class ForeignCheckpoint(
    CheckpointError, hint="Use a checkpoint of Mask R-CNN R-50 FPN, RTMDet or NanoDet-g."
):
    """A weights file is of another architecture, or has missing, unknown or wrongly shaped tensors."""


class DownloadError(ModelError, code="download_failed"):
    """A weights file could not be downloaded."""


class DatasetError(DetectorError, code="bad_dataset", hint="Pack or copy it again."):
    """A data set can't be read."""


class UnknownDataset(
    DatasetError, hint="Labels of COCO, YOLO, Pascal VOC, LabelMe, CVAT 1.1 and Label Studio are read."
):
    """The file holds no data set of a known format."""


class DatasetTooLarge(DatasetError, hint="Divide it into smaller ones."):
    """The data set has more files, or unpacks to more bytes, than are accepted."""


class TeachingError(ModelError):
    """The model can't be taught."""


class BadTrainingData(TeachingError, hint="Mark objects in more pictures, or choose other classes."):
    """The pictures are not enough to teach a model."""


class UnknownRun(TeachingError, hint="It may have been deleted."):
    """No run of teaching has that id."""


class DetectionError(DetectorError):
    """The requested detection can't be shown."""


class UnknownDetection(DetectionError, hint="Check the URL, or send the picture."):
    """No detection has that id."""


class DetectionExpired(DetectionError, hint="Send the picture again."):
    """The detection existed; it and its picture have been deleted."""


class DetectionNotFinished(DetectionError, hint="Ask again in a moment."):
    """The detection has no result yet."""


class DetectionFailed(DetectionError, hint="Try again, or see the worker's log."):
    """The detection ended without a result."""


class CollectionError(DetectorError):
    """The collection can't be used."""


class UnknownCollection(
    CollectionError, hint="Check the URL; it may have been deleted, or not be shared any more."
):
    """No collection has that id, or it is not yours."""


class UnknownPicture(CollectionError, hint="It may have been deleted."):
    """The collection has no such picture."""


class CollectionFull(CollectionError, hint="Delete pictures or collections that are no longer needed."):
    """There is no room for more in collections."""


class ServiceError(DetectorError, code="service_unavailable", hint="Try again in a moment."):
    """The service is temporarily unavailable; the same request may succeed later."""


class QueueFull(ServiceError):
    """Too many pictures are already waiting."""


class ShareUsedUp(ServiceError, hint="Wait for the number of seconds in Retry-After."):
    """The sender has reached the limit of waiting pictures per client."""


class BrokerUnavailable(ServiceError, hint="Nothing is lost. Try again in a moment."):
    """Redis can't be reached."""


class StorageUnavailable(ServiceError):
    """Pictures can't be written or read."""


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


class SettingsError(DetectorError, code="bad_settings"):
    """The installation is misconfigured."""


def codes() -> list[str]:
    """Return the codes of all errors in this module."""
    return list(_kinds())


def kind_of(code: str) -> type[DetectorError]:
    """Return the error class with that code; DetectorError for an unknown one."""
    return _kinds().get(code, DetectorError)


def _kinds() -> dict[str, type[DetectorError]]:
    kinds = [kind for kind in globals().values() if isinstance(kind, type)]
    return {kind.code: kind for kind in kinds if issubclass(kind, DetectorError)}
