"""What dead workers left of one queue is given back: looked for by every worker that lives."""

from collections.abc import Callable

from flask_detector.jobs.states import JobStatus
from flask_detector.worker.attempts import Attempts
from flask_detector.worker.process_id import has_died


class LeftBehind:
    """The jobs of a queue whose workers died. That two look for them at once does no harm."""

    def __init__(self, attempts: Attempts, on_given_back: Callable[[str, JobStatus], None]) -> None:
        """on_given_back: is told a job's id and what it is then."""
        self._attempts = attempts
        self._on_given_back = on_given_back
        self._silent: set[str] = set()

    def give_back(self) -> None:
        """Give back the jobs of dead workers; raises what Redis's client raises.

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
