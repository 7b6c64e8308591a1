"""A detection as it stands, and who works on it: what a look at Redis tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from flask_detector.errors import DetectorError, PictureError, kind_of
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.detections import MaskEncoding


@dataclass(frozen=True)
class Failure:
    """Why a detection failed, in words for the user; `code` is one of errors/."""

    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: DetectorError) -> Self:
        """Return the failure that an error tells of."""
        return cls(error.code, error.message, error.hint)

    def to_error(self) -> DetectorError:
        """Return the error that this failure tells of, of the class that has its code."""
        return kind_of(self.code)(self.message, hint=self.hint)

    @property
    def is_the_pictures(self) -> bool:
        """Whether the picture is at fault, so that to try again with the same one is senseless."""
        return issubclass(kind_of(self.code), PictureError)


@dataclass(frozen=True)
class DetectionRequest:
    """How pictures are to be detected, and for whom.

    classes: the labels that alone are kept; None for all.
    masks: how programs are sent masks.
    owner: who alone may see it; None where the id is the key to it.
    client: whose part of the queue it takes; None where it counts for nobody.
    callback_url: where to send word of its end; its host is checked when that is sent.
    """

    model: str
    min_score: float | None = None
    classes: Sequence[str] | None = None
    masks: MaskEncoding = "rle"
    owner: str | None = None
    client: str | None = None
    callback_url: str | None = None


@dataclass(frozen=True)
class Record:
    """A detection as it stands.

    position: how many pictures are before it in the queue; None unless it is queued.
    stage: what the detector is doing; None unless it is running.
    model: the model asked for.
    used_model: the one that was used; None unless it is done.
    min_score: the lowest score asked for; None for the model's own.
    classes: the labels that alone are kept; None for all.
    masks: how programs are sent masks.
    owner: who alone may see it; None where the id is the key to it.
    counts: how many instances each label has that is usually shown; None unless it is done.
    correction: which version of a correction there is; None where nobody has corrected the result.
    """

    id: str
    status: JobStatus
    filename: str
    picture: PictureInfo
    model: str
    used_model: str | None
    min_score: float | None
    classes: tuple[str, ...] | None
    masks: MaskEncoding
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime
    position: int | None
    stage: str | None
    failure: Failure | None
    owner: str | None
    counts: dict[str, int] | None
    correction: str | None
