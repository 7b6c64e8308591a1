"""Webhooks as jobs: each delivery waits on RQ for the end of its detection and is tried until it is received.

A delivery is a job of a queue of its own that depends on the detection's job, so RQ itself lets it go in the
same step that ends the detection. A courier (courier.py) takes it from there.
"""

import time
from collections.abc import Sequence

import redis
from rq import Queue, Retry
from rq.job import Dependency

from flask_detector.broker.connection import reaching_redis
from flask_detector.jobs.queue import new_id
from flask_detector.jobs.serializer import Serializer

QUEUE = "deliveries"
TASK = "flask_detector.webhooks.sender.deliver"

# Seconds before the second try, the third one, and so on: eight tries over 13 hours.
PAUSES = (5, 30, 120, 600, 3600, 4 * 3600, 8 * 3600)

# How long one try may take in all, in seconds.
SECONDS = 10


class Deliveries:
    """The deliveries of one Redis."""

    def __init__(
        self, connection: redis.Redis, retention_seconds: int, *, pauses: Sequence[int] = PAUSES
    ) -> None:
        self._connection = connection
        self._retention = retention_seconds
        self._pauses = pauses
        self.queue = Queue(QUEUE, connection=connection, serializer=Serializer)

    def has_work(self) -> bool:
        """Tell whether a courier is needed now: for one to send, or one that waits for a detection's end.

        A pause before another try needs none. Raises what Redis's client raises.
        """
        registries = self.queue.started_job_registry, self.queue.deferred_job_registry
        keys = [self.queue.key, self.queue.intermediate_queue_key, *(one.key for one in registries)]
        pauses = self.queue.scheduled_job_registry.key
        if not self._connection.exists(*keys, pauses):
            return False
        return bool(self._connection.exists(*keys) or self._connection.zcount(pauses, "-inf", time.time()))

    def expect(self, detection: str, url: str, owner: str | None) -> None:
        """Have word of a detection's end sent to an address; raises BrokerUnavailable.

        owner: the detection's; webhooks of an API key are signed with that key's secret.
        """
        with reaching_redis():
            self.queue.enqueue_call(
                TASK,
                kwargs={"detection": detection, "url": url, "owner": owner},
                job_id=new_id(),
                timeout=3 * SECONDS,
                ttl=self._retention,
                result_ttl=0,
                failure_ttl=self._retention,
                description="delivery",
                depends_on=Dependency(jobs=[detection], allow_failure=True),
                retry=Retry(max=len(self._pauses), interval=list(self._pauses)),
            )
