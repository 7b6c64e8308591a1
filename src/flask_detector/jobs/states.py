"""The life of a detection: its states, and the moves from one to the next.

`jobs/transitions.py` makes each move in one step on Redis, guarded by this table, and nothing else writes a
status once a detection is accepted. Any detection may also be deleted, or expire: then there is no record.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

# A detection whose worker dies is tried this many times in all.
TRIES = 3


class JobStatus(StrEnum):
    """What has become of a detection."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it, unless its operator tries it again."""
        return self not in UNFINISHED


UNFINISHED = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})


@dataclass(frozen=True)
class Move:
    """A way to a state.

    sources: the states from which anybody may make it.
    held: the states from which only the worker's execution may make it that the detection is held by.
    """

    target: JobStatus
    sources: AbstractSet[JobStatus] = frozenset()
    held: AbstractSet[JobStatus] = frozenset()


# Running already: the answer to the same command was lost.
BEGIN = Move(JobStatus.RUNNING, sources={JobStatus.QUEUED}, held={JobStatus.RUNNING})
RENEW = Move(JobStatus.RUNNING, held={JobStatus.RUNNING})
# A worker that was thought dead may still be the first to finish.
FINISH = Move(JobStatus.DONE, sources=UNFINISHED)
FAIL = Move(JobStatus.FAILED, held={JobStatus.RUNNING})
GIVE_BACK = Move(JobStatus.QUEUED, held={JobStatus.RUNNING})
CANCEL = Move(JobStatus.CANCELLED, sources=UNFINISHED)
TRY_AGAIN = Move(JobStatus.QUEUED, sources={JobStatus.FAILED})
