"""The live workers, by what they tell of themselves with each heartbeat."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import redis
from rq import Queue
from rq.worker_registration import get_keys

from flask_detector.broker.connection import reaching_redis

# How long a worker may be silent before it counts as dead, in seconds.
WORKER_SILENCE = 8

_FIELDS = (
    "hostname",
    "pid",
    "state",
    "model",
    "models",
    "seconds",
    "models_folder",
    "memory",
    "last_heartbeat",
    "birth",
    "teaches",
)
_COUNTS = ("successful_job_count", "failed_job_count")


@dataclass(frozen=True)
class WorkerInfo:
    """A worker that was heard of lately: its name, whether it is at work, and the model that it has loaded.

    models: the names of those that it can load. queue: the one that it takes pictures from.
    seconds: what a picture takes there, by model, as far as it was measured.
    models_folder: what tells its folder of models from those of other machines; "" if not known.
    pid: its process on its host. memory: bytes, 0 where it has told none.
    teaches: whether PyTorch is there.
    done, failed: how many detections it has ended since it started.
    """

    name: str
    busy: bool
    model: str
    models: frozenset[str]
    queue: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    models_folder: str = ""
    host: str = ""
    pid: int = 0
    memory: int = 0
    heartbeat_seconds: float = 0.0
    up_seconds: float = 0.0
    done: int = 0
    failed: int = 0
    teaches: bool = False


def live_workers(connection: redis.Redis, queues: list[Queue]) -> list[WorkerInfo]:
    """Return the workers of these queues, by host and process; raises BrokerUnavailable."""
    with reaching_redis():
        named = [(queue.name, key) for queue in queues for key in get_keys(queue)]
        with connection.pipeline(transaction=False) as pipeline:
            for _, key in named:
                pipeline.hmget(key, *_FIELDS, *_COUNTS, "death")
            answers = pipeline.execute()
    workers = []
    for (queue, key), values in zip(named, answers, strict=True):
        host, pid, state, model, models, seconds, folder, memory, heartbeat, birth, teaches, *others = (
            (value or b"").decode() for value in values
        )
        done, failed, death = others
        if heartbeat and not death:  # the key of a silent worker expires
            workers.append(
                WorkerInfo(
                    name=key.rsplit(":", 1)[-1],
                    busy=state == "busy",
                    model=model,
                    models=frozenset(models.split()),
                    queue=queue,
                    seconds=json.loads(seconds or "{}"),
                    models_folder=folder,
                    host=host,
                    pid=int(pid or 0),
                    memory=int(memory or 0),
                    heartbeat_seconds=_seconds_since(heartbeat),
                    up_seconds=_seconds_since(birth),
                    done=int(done or 0),
                    failed=int(failed or 0),
                    teaches=bool(teaches),
                )
            )
    return sorted(workers, key=lambda worker: (worker.host, worker.pid))


def _seconds_since(timestamp: str) -> float:
    if not timestamp:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds())
