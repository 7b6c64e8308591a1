"""Whether a worker is running."""

import redis

from flask_detector.errors import BrokerUnavailable
from flask_detector.jobs.queue import Jobs
from flask_detector.service.doctor.finding import Findings, ok, warning
from flask_detector.service.launch import connect_to_installation
from flask_detector.settings import Settings


def check(settings: Settings) -> Findings:
    """Report the workers that Redis knows; nothing where it can't be reached, which its own check reports."""
    try:
        with connect_to_installation(settings) as connection:
            workers = Jobs(connection, settings).workers()
    except (BrokerUnavailable, redis.RedisError):
        return
    if any(worker.model for worker in workers):
        yield ok(f"{len(workers)} running.")
    else:
        yield warning(
            "No worker with a loaded model has reported in the last ten seconds.",
            "Start one: 'flask-detector serve', or 'flask-detector worker' next to a web process.",
        )
