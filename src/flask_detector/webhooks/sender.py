"""The courier: sends webhooks, in threads of the worker process.

A process of its own would cost forty megabytes for what is mostly waiting. One thread asks Redis now and then
what is due, and is woken when a detection ends whose end is to be told; each delivery gets a thread for as
long as it takes. Receivers that do not answer keep few of them busy (`Receivers`), so others need not wait.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import redis
from redis.backoff import ExponentialBackoff

from flask_detector import guarded_http
from flask_detector.api_keys import Keys, key_id_of
from flask_detector.broker.connection import persevere
from flask_detector.errors import (
    AddressUnreachable,
    BrokerUnavailable,
    DetectionError,
    DetectorError,
    UnknownKey,
)
from flask_detector.jobs.deliveries import PAUSES, SECONDS, Deliveries, Delivery
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.records import Record
from flask_detector.jobs.schema import detection_form
from flask_detector.jobs.states import JobStatus
from flask_detector.process.logs import facts, short
from flask_detector.settings import Settings
from flask_detector.webhooks import signing

log = logging.getLogger(__name__)

# So many deliveries are on their way at once from one worker process, and so many of them to one receiver.
MOST_AT_ONCE = 32
_MOST_TO_ONE = 4

# After no answer a receiver gets nothing for so long, then twice that, and so on up to the longest time.
_REST = ExponentialBackoff(cap=60, base=5)

_KNOWN_RECEIVERS = 1000

# Where a detection is tried again that had ended, its delivery is looked at this often.
_UNFINISHED_SECONDS = 60.0

_LOOK_SECONDS = 2
_RESTART_SECONDS = 2.0


class Receivers:
    """How the receivers of one process answer, and so what they may be sent at once.

    A new one gets one delivery at a time, one that answers more and more, up to four. One that does not
    answer gets nothing for a while and then one again.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._allowed: dict[str, int] = {}
        self._failures: Counter[str] = Counter()
        self._closed_until: dict[str, float] = {}

    def closed(self) -> list[str]:
        """Return those that are to get nothing now."""
        with self._changing:
            resting = [one for one, until in self._closed_until.items() if until > time.monotonic()]
            full = [one for one, busy in self._busy.items() if busy >= self._allowed.get(one, 1)]
        return [*resting, *full]

    def begin(self, receiver: str) -> None:
        """Count a delivery that is on its way."""
        with self._changing:
            self._busy[receiver] += 1

    def end(self, receiver: str, *, answered: bool | None) -> None:
        """Count it no more; `answered` is None for one that was not sent."""
        with self._changing:
            self._busy[receiver] -= 1
            if self._busy[receiver] == 0:
                del self._busy[receiver]
            if answered:
                self._allowed[receiver] = min(_MOST_TO_ONE, self._allowed.get(receiver, 1) + 1)
                self._failures.pop(receiver, None)
                self._closed_until.pop(receiver, None)
            elif answered is False:
                self._allowed.pop(receiver, None)
                rest = _REST.compute(self._failures[receiver])
                self._failures[receiver] += 1
                self._closed_until[receiver] = time.monotonic() + rest
            for known in (self._allowed, self._failures, self._closed_until):
                if len(known) > _KNOWN_RECEIVERS:
                    known.pop(next(iter(known)))  # what was learnt longest ago


class Courier:
    """The thread that has webhooks sent."""

    def __init__(
        self, settings: Settings, connection: redis.Redis, *, pauses: Sequence[float] = PAUSES
    ) -> None:
        """pauses: seconds before the second try, the third one, and so on."""
        self._settings = settings
        self._pauses = pauses
        self._jobs = Jobs(connection, settings)
        self._keys = Keys(connection)
        self._deliveries = Deliveries(connection)
        self._receivers = Receivers()
        self._senders: set[threading.Thread] = set()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Send what there is to send until `stop`."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether there is something to send."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the deliveries that are on their way, and take no other."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(SECONDS)
        deadline = time.monotonic() + SECONDS + 1
        for sender in list(self._senders):
            sender.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._send_what_is_due()
            except redis.RedisError:
                log.warning("webhooks wait: Redis can't be reached")
                self._stopping.wait(_RESTART_SECONDS)
            self._woken.wait(_LOOK_SECONDS)
            self._woken.clear()

    def _send_what_is_due(self) -> None:
        while not self._stopping.is_set() and (free := MOST_AT_ONCE - len(self._senders)) > 0:
            taken = self._deliveries.take(free, closed=self._receivers.closed())
            for delivery in taken:
                self._receivers.begin(delivery.receiver)
                sender = threading.Thread(target=self._send, args=[delivery], name="webhook", daemon=True)
                self._senders.add(sender)
                sender.start()
            if not taken:
                return

    def _send(self, delivery: Delivery) -> None:
        answered: bool | None = None
        try:
            answered = self._settle(delivery)
        except (redis.RedisError, BrokerUnavailable) as error:  # its time passes, and it is taken once more
            log.warning(
                "webhook %s waits: %s",
                delivery.id,
                type(error).__name__,
                extra=facts(detection=short(delivery.detection)),
            )
        except Exception:
            told = facts(detection=short(delivery.detection))
            log.exception("webhook %s: unexpected error", delivery.id, extra=told)
        finally:
            self._receivers.end(delivery.receiver, answered=answered)
            self._senders.discard(threading.current_thread())
            self._woken.set()

    def _settle(self, delivery: Delivery) -> bool | None:
        """Send a delivery and write what became of it; return whether it was answered, None if not sent."""
        try:
            record = self._jobs.find(delivery.detection)
            secret = self._keys.webhook_secret(key_id_of(delivery.owner))
            if not record.status.is_final:  # an operator has it tried again, and its end lets this go
                self._put_back(delivery, _UNFINISHED_SECONDS, tries=delivery.tries)
                return None
            body = self._body(record)
        except (DetectionError, UnknownKey):  # deleted, or its key revoked: nobody is to be told any more
            self._write(lambda: self._deliveries.remove(delivery))
            return None
        headers = signing.headers_of(delivery.id, body, secret)
        rules = guarded_http.Rules(self._settings.allow_private_addresses, SECONDS, max_bytes=0)
        answered, problem = True, ""
        try:
            answer = guarded_http.send("POST", delivery.url, rules, headers=headers, body=body)
            if not 200 <= answer.status < 300:
                problem = f"The receiver answered {answer.status}."
        except DetectorError as error:
            answered, problem = not isinstance(error, AddressUnreachable), error.message
        if not problem:
            self._write(lambda: self._deliveries.remove(delivery))
        else:
            self._try_later(delivery, problem)
        return answered

    def _body(self, record: Record) -> bytes:
        if record.status is JobStatus.DONE:
            form = detection_form(record, self._jobs.result_form(record.id), record.masks)
            return signing.body_of(signing.FINISHED, dict(form))
        if record.status is JobStatus.FAILED:
            return signing.body_of(signing.FAILED, dict(detection_form(record, None, record.masks)))
        raise DetectionError("This detection was cancelled.")

    def _try_later(self, delivery: Delivery, problem: str) -> None:
        tries = delivery.tries + 1
        left = len(self._pauses) + 1 - tries
        log.warning(
            "webhook %s failed: %s %d attempts left",
            delivery.id,
            problem,
            left,
            extra=facts(detection=short(delivery.detection)),
        )
        if left == 0:
            self._write(lambda: self._deliveries.remove(delivery))
        else:
            self._put_back(delivery, self._pauses[tries - 1], tries=tries)

    def _put_back(self, delivery: Delivery, seconds: float, *, tries: int) -> None:
        self._write(lambda: self._deliveries.put_back(delivery, seconds, tries=tries))

    def _write(self, write: Callable[[], None]) -> None:
        """Write also what Redis is away for: an answer that is forgotten would be asked for once more."""
        persevere(write, is_over=self._stopping.is_set)
