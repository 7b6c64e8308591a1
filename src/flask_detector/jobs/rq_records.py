"""What RQ's job says of a detection, as a Record."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rq.job import Job
from rq.job import JobStatus as RqStatus

from flask_detector.errors import DetectionFailed
from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs.records import Failure, Record
from flask_detector.jobs.states import TRIES, JobStatus

# What has failed without a word of its own.
WORKERS_DIED = Failure(
    DetectionFailed.code,
    f"The worker stopped unexpectedly each of the {TRIES} times it tried this picture.",
    "Send another picture; the worker's log shows why it stopped.",
)


def out_of_time(seconds: float | None, model: str | None) -> Failure:
    """Return why a detection with a model, if one is loaded, is stopped after that time."""
    by_model = f" by the model {model}" if model else ""
    return Failure(
        DetectionFailed.code,
        f"The detection{by_model} was stopped because it took longer than {seconds or 0:g} seconds.",
        "Send a smaller picture, use another model, or raise DETECTOR_JOB_TIMEOUT.",
    )


RQ_STATUS = {
    JobStatus.QUEUED: RqStatus.QUEUED.value,
    JobStatus.RUNNING: RqStatus.STARTED.value,
    JobStatus.DONE: RqStatus.FINISHED.value,
    JobStatus.FAILED: RqStatus.FAILED.value,
    JobStatus.CANCELLED: RqStatus.CANCELED.value,
}
_STATUS = {word: status for status, word in RQ_STATUS.items()}


def status_of(status: str) -> JobStatus:
    """Return a detection's status for its job's."""
    return _STATUS[status]


def record_of(job: Job, *, position: int | None, stage: str | None, retention_seconds: int) -> Record:
    """Return a detection as its job tells it, as it was fetched.

    position, stage: where it is in the queue and what the detector does, which the job does not tell.
    """
    status = status_of(job.get_status(refresh=False))
    created_at = in_utc(job.created_at)
    classes = job.kwargs.get("classes")
    return Record(
        id=job.id,
        status=status,
        filename=job.meta["filename"],
        picture=PictureInfo(**job.meta["picture"]),
        model=job.kwargs["model"],
        used_model=job.meta.get("used_model"),
        min_score=job.kwargs["min_score"],
        classes=None if classes is None else tuple(classes),
        masks=job.meta.get("masks", "rle"),
        created_at=created_at,
        started_at=None if job.started_at is None else in_utc(job.started_at),
        ended_at=None if job.ended_at is None else in_utc(job.ended_at),
        expires_at=created_at + timedelta(seconds=retention_seconds),
        position=position,
        stage=stage,
        failure=failure_of(job) if status is JobStatus.FAILED else None,
        owner=job.meta.get("owner"),
        counts=job.meta.get("counts"),
        correction=job.meta.get("correction"),
    )


def facts_of(picture: PictureInfo) -> dict[str, Any]:
    """Return what a record keeps of a picture: all but its colour profile."""
    return {
        "format": picture.format,
        "media_type": picture.media_type,
        "width": picture.width,
        "height": picture.height,
    }


def failure_of(job: Job) -> Failure:
    """Return why a failed job failed."""
    known: dict[str, Any] | None = job.meta.get("failure")
    if known is not None:
        return Failure(**known)
    return WORKERS_DIED


def in_utc(moment: datetime) -> datetime:
    """Return a time that RQ keeps, in UTC."""
    return moment.replace(tzinfo=UTC)
