"""What dead workers left of one queue is given back: looked for by every worker that lives."""

import time
from collections.abc import Callable

from flask_detector.jobs.states import JobStatus
from flask_detector.worker.attempts import Attempts
from flask_detector.worker.process_id import has_died

# To begin a job that was taken from the queue takes milliseconds; after this long it was left there.
_STRANDED_SECONDS = 5.0


class LeftBehind:
    """The jobs of a queue whose workers died. That two look for them at once does no harm."""

    def __init__(
        self,
        attempts: Attempts,
        *,
        on_given_back: Callable[[str, JobStatus], None],
        on_put_back: Callable[[str], None],
    ) -> None:
        """on_given_back: is told a job's id and what it is then; on_put_back: of one that was never begun."""
        self._attempts = attempts
        self._on_given_back = on_given_back
        self._on_put_back = on_put_back
        self._silent: set[str] = set()
        self._stranded_since: dict[str, float] = {}

    def give_back(self) -> None:
        """Do what is due; raises what Redis's client raises."""
        self._give_back_abandoned()
        self._put_back_stranded()

    def _give_back_abandoned(self) -> None:
        """Give back the jobs of dead workers.

        Where nothing was heard of one it must be so twice: after an outage of Redis, or a jump of its clock,
        the living need a moment to say that they live.
        """
        running = self._attempts.running()
        in_hand = self._attempts.in_hand(running)
        silent: set[str] = set()
        for execution, location in zip(running, self._attempts.locations(running), strict=True):
            if location is None:
                silent.add(execution.id)
            if execution.id in silent & self._silent or (location and has_died(location)):
                became = self._attempts.give_back(execution, as_a_try=execution.id in in_hand)
                if became is not None:
                    self._on_given_back(execution.job_id, became)
        self._silent = silent

    def _put_back_stranded(self) -> None:
        """Put back what workers took from the queue and did not begin before they died."""
        now = time.monotonic()
        waiting = self._attempts.stranded()
        self._stranded_since = {id: self._stranded_since.get(id, now) for id in waiting}
        for id, since in self._stranded_since.items():
            if now - since > _STRANDED_SECONDS:
                self._attempts.put_back(id)
                self._on_put_back(id)
