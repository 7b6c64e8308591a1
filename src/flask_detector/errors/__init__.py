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

# All of them are in here, whichever file has them.
from flask_detector.errors.base import DetectorError as DetectorError
from flask_detector.errors.collections import *  # noqa: F403  # the tree's names
from flask_detector.errors.detections import *  # noqa: F403  # the tree's names
from flask_detector.errors.models import *  # noqa: F403  # the tree's names
from flask_detector.errors.pictures import *  # noqa: F403  # the tree's names
from flask_detector.errors.requests import *  # noqa: F403  # the tree's names
from flask_detector.errors.service import *  # noqa: F403  # the tree's names


def codes() -> list[str]:
    """Return the codes of all errors."""
    return list(_kinds())


def kind_of(code: str) -> type[DetectorError]:
    """Return the error class with that code; DetectorError for an unknown one."""
    return _kinds().get(code, DetectorError)


def _kinds() -> dict[str, type[DetectorError]]:
    kinds = [kind for kind in globals().values() if isinstance(kind, type)]
    return {kind.code: kind for kind in kinds if issubclass(kind, DetectorError)}
