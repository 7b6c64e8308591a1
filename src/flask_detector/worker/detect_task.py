"""What a worker needs at hand to detect, and the way from a picture's id to its result."""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import redis

from flask_detector.detectors.loaded import DetectorPool
from flask_detector.errors import DetectionExpired, StorageUnavailable
from flask_detector.imaging import decode
from flask_detector.imaging.large_pictures import DECODING_BYTES_PER_PIXEL
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.throughput import Pace
from flask_detector.process import memory, room
from flask_detector.settings import Settings
from flask_detector.storage.base import ORIGINAL, Storage
from flask_detector.worker.report import Journal

# All instances over this score are kept with the result, so that a user can look below the usual threshold
# without a new detection. 0.05 is the threshold of COCO's evaluation and of both origins of Mask R-CNN.
LOWEST_SCORE = 0.05

# After such a picture memory is given back before anybody is told: whoever draws it next needs some.
_LARGE_PICTURE = 8_000_000

# Storage that can't be read may come back: so long a picture waits for it.
_STORAGE_SECONDS = 30.0

# The limit counts what is asked for. Mask R-CNN asks for 1.6 times what it uses, in either precision.
_ASKED_FOR_A_BYTE_USED = 1.5

# What any model takes to detect.
_DETECTING_BYTES = 1 << 30


@dataclass(frozen=True)
class Decoded:
    """A picture's pixels, how large they were wanted along the long side, and the seconds that took."""

    pixels: Picture | Pixels
    enough: int | None
    seconds: float


class Workplace:
    """What a worker needs at hand for a job: its queue's records, the storage, loaded models."""

    def __init__(self, settings: Settings, connection: redis.Redis, storage: Storage) -> None:
        self.settings = settings
        self.jobs = Jobs(connection, settings)
        self.pace = Pace(connection)
        self.storage = storage
        self.detectors = DetectorPool(settings)
        self.journal = Journal()
        self.ahead: Future[Decoded] | None = None
        self.on_decoded: Callable[[str, int | None], None] = lambda model, enough: None
        self.on_stage: Callable[[str], None] = lambda stage: None
        self.on_delivery: Callable[[], None] = lambda: None

    def run(
        self, id: str, *, model: str, min_score: float | None, classes: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Detect in the picture stored under an id; return the result's JSON form and the usual lowest score.

        classes: the labels that alone are kept.

        Raises DetectorError when that can't be done, and never will for this picture.
        """
        detector = self.detectors.get(model)
        self.on_stage("decode")
        picture = self._decoded(id, detector.enough)
        self.on_decoded(model, detector.enough)
        start = time.perf_counter()
        lowest = LOWEST_SCORE if min_score is None else min_score
        found = detector.detect(picture.pixels, min_score=lowest, on_stage=self.on_stage)
        if found.width * found.height > _LARGE_PICTURE:
            self.detectors.rest()
        stages = {"decode": picture.seconds, **found.timings}
        self.journal.detected(found.model, stages, picture.seconds + time.perf_counter() - start)
        if classes is not None:
            found = found.without(set(found.labels).difference(classes))
        form: dict[str, Any] = found.to_json()
        form["timings_ms"] = {"decode": round(picture.seconds * 1000, 2), **form["timings_ms"]}
        form["shown_score"] = detector.default_min_score if min_score is None else min_score
        self.pace.tell(found.model, sum(form["timings_ms"].values()) / 1000)
        self.detectors.ran(found.model, sum(found.timings.values()))
        return form

    def decode(self, id: str, enough: int | None) -> Decoded:
        """Read and decode the picture stored under an id; any thread may. enough: as for `decode.load`.

        Raises DetectorError when that can't be done, and never will for this picture.
        """
        data = self._picture(id)
        start = time.perf_counter()
        limits = Limits.of(self.settings)
        pixels, _ = decode.load(data, limits, enough=enough, patience=self.settings.job_timeout / 2)
        return Decoded(pixels, enough, time.perf_counter() - start)

    def _decoded(self, id: str, enough: int | None) -> Decoded:
        """Return the picture that is decoded already, if that is so and as it is wanted now."""
        ahead, self.ahead = self.ahead, None
        if ahead is not None:
            picture = ahead.result()
            if picture.enough == enough:
                return picture
        return self.decode(id, enough)

    def _picture(self, id: str) -> bytes:
        deadline = time.monotonic() + _STORAGE_SECONDS
        pause = 0.1
        while True:
            try:
                return self.storage.get(id, ORIGINAL)
            except FileNotFoundError as error:
                raise DetectionExpired("The picture was deleted before it was processed.") from error
            except StorageUnavailable:
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause *= 2

    def has_grown(self) -> bool:
        """Tell whether this process keeps more memory than it should, with all given back that can be."""
        most = self.settings.worker_recycle_bytes
        if most == 0 or memory.resident_bytes() <= most:
            return False
        self.detectors.rest()
        return memory.resident_bytes() > most

    def limit_memory(self) -> None:
        """Let a picture take what the largest accepted one may, beyond what the loaded model takes.

        But no more than the container has left: what goes beyond is an error of that picture's detection
        instead of the end of a process, or of a machine without memory.
        """
        most = DECODING_BYTES_PER_PIXEL * self.settings.max_pixels + _DETECTING_BYTES
        if (left := room.left()) is not None:
            most = min(most, int(left * _ASKED_FOR_A_BYTE_USED))
        memory.limit(self.settings.worker_memory_bytes or memory.taken() + most)
