"""Settings of what is detected with, and in what: pictures, the queue, workers, models."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from flask_detector.settings.values import MEGABYTE, HomePath, MustBe, OptionalHttpUrl, listed, pairs

DEFAULT_QUEUE = "detections"

TEACH_QUEUE = "teach"
"""Of models that are to be taught; no pictures are in it."""


def _for_pictures(queue: str) -> str:
    if queue == TEACH_QUEUE:
        raise ValueError("it is another queue")
    return queue


def _routes_of_pictures(text: str | None) -> str | None:
    for _, queue in pairs(text):
        _for_pictures(queue)
    return text


_QueueName = Annotated[
    str,
    Field(pattern=r"^[a-z0-9-]{1,32}$"),
    AfterValidator(_for_pictures),
    MustBe(f"1 to 32 lower-case letters, digits and hyphens, but not '{TEACH_QUEUE}'"),
]
_Routes = Annotated[
    str | None,
    Field(pattern=r"^([\w.-]+=[a-z0-9-]{1,32}(,|$))*$"),
    AfterValidator(_routes_of_pictures),
    MustBe("MODEL=QUEUE pairs separated by commas, such as auto=cpu"),
]


class PictureSettings(BaseModel):
    """Pictures."""

    max_upload_mb: float = Field(
        default=25, gt=0, le=10_000, description="Maximum size of a file, in MB (10^6 bytes)."
    )
    max_megapixels: float = Field(
        default=50, gt=0, le=1_000, description="Maximum size of a picture, in millions of pixels."
    )
    retention_hours: float = Field(
        default=24, gt=0, le=100_000, description="Hours until a picture and its result are deleted."
    )

    @property
    def max_upload_bytes(self) -> int:
        """Maximum size of a file, in bytes."""
        return int(self.max_upload_mb * MEGABYTE)

    @property
    def max_pixels(self) -> int:
        """Maximum size of a picture, in pixels."""
        return int(self.max_megapixels * 1_000_000)

    @property
    def retention_seconds(self) -> int:
        """How long a picture and its result are kept, in seconds."""
        return int(self.retention_hours * 3600)


class QueueSettings(BaseModel):
    """Queue."""

    max_queue: int = Field(
        default=1000, ge=1, description="Maximum number of waiting pictures; more are rejected with a 503."
    )
    max_queue_per_client: int = Field(
        default=250,
        ge=1,
        description="Maximum number of waiting and running pictures per client (API key, else IP address).",
    )
    job_timeout: int = Field(default=180, ge=1, description="Seconds after which a detection fails.")
    queue: _QueueName = Field(default=DEFAULT_QUEUE, description="Queue that workers process.")
    routes: _Routes = Field(
        default=None,
        description="Models that have their own queue, such as `mask-rcnn-r50-fpn=gpu,auto=cpu`; others use "
        "`detections`. Must be the same for all processes.",
    )

    def queue_of(self, model: str) -> str:
        """Return the queue for pictures of a model, which may be `auto`."""
        return dict(pairs(self.routes)).get(model, DEFAULT_QUEUE)

    @property
    def queues(self) -> list[str]:
        """All queues that pictures may be in."""
        return list(dict.fromkeys([DEFAULT_QUEUE, *dict(pairs(self.routes)).values(), self.queue]))


class WorkerSettings(BaseModel):
    """Workers."""

    workers: int = Field(
        default=1, ge=1, le=64, description="Number of worker processes that `serve` starts."
    )
    threads: int = Field(
        default=0, ge=0, le=256, description="Threads per worker for the model; 0: chosen by the model."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Number format that models compute in; `auto` is bfloat16 if the CPU supports it.",
    )
    worker_memory_mb: int = Field(
        default=0,
        ge=0,
        description="Limit of a worker's writable memory, in MB; a picture that needs more fails. 0: enough "
        "for the model and the largest accepted picture, within the container's limit.",
    )
    worker_recycle_mb: int = Field(
        default=1500,
        ge=0,
        description="Resident memory in MB above which a worker exits after a picture, to be restarted by "
        "`serve` or another supervisor. 0: never.",
    )

    @property
    def worker_memory_bytes(self) -> int:
        """Limit of a worker's writable memory, in bytes; 0 for automatic."""
        return self.worker_memory_mb * MEGABYTE

    @property
    def worker_recycle_bytes(self) -> int:
        """Resident memory above which a worker exits after a picture, in bytes; 0 for never."""
        return self.worker_recycle_mb * MEGABYTE


class ModelSettings(BaseModel):
    """Models."""

    model: str = Field(
        default="auto",
        description="Model to use; `auto` is the most accurate installed one that is fast on this machine.",
    )
    models_dir: HomePath | None = Field(
        default=None, description="Folder for model weights. Unset: `models` in the data folder."
    )
    fetch: str = Field(
        default="rtmdet-ins-s,mask-rcnn-r50-fpn",
        description="Models that `serve` downloads in the background, in this order, separated by commas; "
        "`DETECTOR_OFFLINE` for none.",
    )
    offline: bool = Field(default=False, description="Download model weights only on request.")
    mirror_url: OptionalHttpUrl = Field(
        default=None,
        description="URL of a folder with the weights files, under their names, to download from instead.",
    )

    @property
    def models_to_fetch(self) -> list[str]:
        """The models that are downloaded in the background, in this order."""
        return [] if self.offline else listed(self.fetch)
