"""What the parts of one worker share."""

from dataclasses import dataclass
from typing import Self

import redis

from flask_detector.detectors.loaded import DetectorPool
from flask_detector.imaging.large_pictures import DECODING_BYTES_PER_PIXEL
from flask_detector.jobs.deletions import Deletions
from flask_detector.jobs.doubts import Doubts
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.throughput import DetectionTimes
from flask_detector.process import available_memory, memory
from flask_detector.settings import Settings
from flask_detector.storage.base import Storage
from flask_detector.webhooks.sender import Courier
from flask_detector.worker.report import Reporter

# The limit counts what is asked for. Mask R-CNN asks for 1.6 times what it uses, in either precision.
_ASKED_FOR_A_BYTE_USED = 1.5

# What any model takes to detect.
_DETECTING_BYTES = 1 << 30


@dataclass(frozen=True)
class WorkerContext:
    """A worker's settings, its queue's records, the storage, the loaded models, and what it reports to."""

    settings: Settings
    jobs: Jobs
    storage: Storage
    deletions: Deletions
    doubts: Doubts
    detectors: DetectorPool
    detection_times: DetectionTimes
    reporter: Reporter
    courier: Courier

    @classmethod
    def of(cls, settings: Settings, connection: redis.Redis, storage: Storage) -> Self:
        """Return a new worker's context; nothing is loaded, begun or asked yet."""
        return cls(
            settings,
            Jobs(connection, settings),
            storage,
            Deletions(connection, settings, storage.delete),
            Doubts(connection, settings.retention_seconds),
            DetectorPool(settings),
            DetectionTimes(connection),
            Reporter(),
            Courier(settings, connection),
        )

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
        if (left := available_memory.available()) is not None:
            most = min(most, int(left * _ASKED_FOR_A_BYTE_USED))
        memory.limit(self.settings.worker_memory_bytes or memory.writable_bytes() + most)
