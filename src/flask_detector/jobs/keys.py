"""What the keys of a detection and of a worker are called on Redis. RQ's names are spelled nowhere else."""

from rq.defaults import RQ_KEY_PREFIX
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.worker import BaseWorker


def job_key(id: str) -> str:
    """Return the key of RQ's job, a hash, which is the record of a detection."""
    return f"{Job.redis_job_namespace_prefix}{id}"


def hidden_key(id: str) -> str:
    """Return the key that a record is moved to while its deletion can be undone."""
    return f"flask-detector:hidden:{id}"


def running_key(queue: str) -> str:
    """Return the key of RQ's sorted set of what was begun from a queue: ``<detection>:<execution>``."""
    return str(StartedJobRegistry.key_template.format(queue))


def execution_key(held: str) -> str:
    """Return the key of what RQ keeps of one try, a hash; held: as in `running_key`."""
    return f"{RQ_KEY_PREFIX}:execution:{held}"


def worker_key(name: str) -> str:
    """Return the key of what a worker tells of itself, a hash."""
    return f"{BaseWorker.redis_worker_namespace_prefix}{name}"


def stage_key(id: str) -> str:
    """Return the key of what the detector is doing with a detection."""
    return f"flask-detector:stage:{id}"


def corrections_key(id: str) -> str:
    """Return the key of what a person has made of a detection's result, a hash."""
    return f"flask-detector:correction:{id}"


def history_key(owner: str) -> str:
    """Return the key of an owner's detections, a sorted set by when they came."""
    return f"flask-detector:history:{owner}"


def batch_of_key(id: str) -> str:
    """Return the key of the id of the batch that a detection was sent with."""
    return f"flask-detector:batch-of:{id}"


def mark_key(id: str) -> str:
    """Return the key that outlives a detection's record and says that it existed."""
    return f"flask-detector:mark:{id}"
