"""The next picture, begun and decoded in a thread while the present one is in the network.

The network keeps neither the interpreter nor, with a small model, the machine's other cores busy: what has to
happen before it can then be done for the next picture beside it.

A worker that dies has two pictures in hand then, and either may be what it died of. Both lose a try
(`Handover.in_hand`), and what has lost one is detected alone: so no picture can fail for another's sake.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import cast

import redis
from redis.commands.core import Script
from rq.job import Job
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from flask_detector.jobs.rq_records import TRIES
from flask_detector.jobs.serializer import Serializer
from flask_detector.worker.detect_task import Decoded, Workplace
from flask_detector.worker.transitions import Handover, Task

log = logging.getLogger(__name__)

# Beside a larger one the memory of the picture in hand might not be enough.
_MOST_PIXELS = 2_000_000

# To take and begin a picture takes milliseconds; Redis's client gives up after seconds.
_TAKING_SECONDS = 30.0

# KEYS: the queue, its intermediate list, the set of its workers. ARGV: what the key of a job begins with.
# No worker is left without a picture. Returns the id, how many tries it has left, and its meta data.
_TAKE = """
if redis.call('LLEN', KEYS[1]) <= redis.call('SCARD', KEYS[3]) then return false end
local id = redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
local job = redis.call('HMGET', ARGV[1] .. id, 'retries_left', 'meta')
return {id, job[1] or '', job[2] or ''}
"""


@dataclass(frozen=True)
class Next:
    """A picture that was taken from the queue for after the present one.

    task: None where it is still to be begun.
    decoded: its pixels, or what became of the attempt to decode it; None where that was not tried.
    """

    id: str
    task: Task | None = None
    decoded: "Future[Decoded] | None" = None


@dataclass(frozen=True)
class _Wish:
    model: str
    enough: int | None
    answer: "Future[Next | None]"


class Ahead:
    """Looks for the next picture of one worker. Its methods are for the thread that detects."""

    def __init__(self, workplace: Workplace, handover: Handover, on_begun: Callable[[Task], None]) -> None:
        """on_begun: called with the detection that was begun, from a thread of its own."""
        self._workplace = workplace
        self._handover = handover
        self._on_begun = on_begun
        queue = workplace.jobs.queue
        self._keys = [queue.key, queue.intermediate_queue_key, WORKERS_BY_QUEUE_KEY % queue.name]
        self._take_script: Script = queue.connection.register_script(_TAKE)
        self._wishes: SimpleQueue[_Wish] = SimpleQueue()
        self._answer: Future[Next | None] | None = None
        self._thread: threading.Thread | None = None

    def look(self, model: str, enough: int | None) -> None:
        """Begin to look for a picture, unless that was done since the last was taken.

        model, enough: which wish of a model has such pictures decoded, and how large it wants them.
        """
        if self._answer is None:
            if self._thread is None:
                # A daemon: a decoder that hangs must not keep the process from ending.
                self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
                self._thread.start()
            self._answer = Future()
            self._wishes.put(_Wish(model, enough, self._answer))

    def take(self) -> Next | None:
        """Return what was found, begun but perhaps not decoded yet; None if that is nothing."""
        answer, self._answer = self._answer, None
        return None if answer is None else answer.result(_TAKING_SECONDS)

    def _run(self) -> None:
        while True:
            wish = self._wishes.get()
            try:
                found = self._look(wish.model)
            except redis.RedisError as error:
                log.warning("prefetching failed: %s", type(error).__name__)
                found = None
            except Exception as error:
                wish.answer.set_exception(error)
                continue
            wish.answer.set_result(found)
            if found is not None and found.decoded is not None:
                self._decode(found.id, wish.enough, found.decoded)
            del wish, found  # with the pixels, while this thread waits

    def _look(self, model: str) -> Next | None:
        taken = cast(list[bytes] | None, self._take_script(keys=self._keys, args=[Job.key_for("")]))
        if taken is None:
            return None
        id = taken[0].decode()
        if not _may_be_beside(taken[1], taken[2]):
            return Next(id)
        task = self._handover.begin(id, beside=True)
        if task is None:
            return None
        self._on_begun(task)
        is_alike = (task.job.kwargs or {}).get("model") == model
        return Next(id, task, Future() if is_alike else None)

    def _decode(self, id: str, enough: int | None, decoded: "Future[Decoded]") -> None:
        try:
            decoded.set_result(self._workplace.decode(id, enough))
        except BaseException as error:  # it is raised where the pixels are waited for
            decoded.set_exception(error)


def _may_be_beside(tries_left: bytes, meta: bytes) -> bool:
    """Tell whether a picture may be begun beside another: it was never tried, and is small."""
    if int(tries_left or 0) < TRIES - 1 or not meta:
        return False
    picture = Serializer.loads(meta)["picture"]
    return bool(picture["width"] * picture["height"] <= _MOST_PIXELS)
