"""Moves a detection from one state to the next, each move in one step on Redis.

A script looks whether the detection is in a state that the move begins from (`states.py`), then writes the
new one with all that goes with it, or nothing. So nothing happens twice, though a command is sent again after
a lost answer, two workers hold the same picture, or its user cancels at that moment.
"""

from collections.abc import Callable
from typing import cast

import redis
from redis.client import Pipeline
from redis.commands.core import Script
from rq.executions import Execution
from rq.job import Job
from rq.utils import now, utcformat

from flask_detector.jobs import deliveries
from flask_detector.jobs.admission import leave
from flask_detector.jobs.atomic import RUN_COMMANDS, collected, spelled
from flask_detector.jobs.keys import job_key, running_key, stage_key
from flask_detector.jobs.notifications import CHANGED, ENDED, channel_of
from flask_detector.jobs.rq_records import RQ_STATUS
from flask_detector.jobs.states import BEGIN, JobStatus, Move

Write = Callable[[Pipeline], object]

# KEYS: the job; what was begun from its queue.
# ARGV: the execution; the statuses that let it pass, and those that let it pass while it is held by that
# execution, each between spaces; "fields" where the job's are wanted; how many commands are done in any case;
# then all commands, each after its number of words.
# Returns the fields as they were, or nothing if it may not.
_SCRIPT = f"""{RUN_COMMANDS}
local status = ' ' .. (redis.call('HGET', KEYS[1], 'status') or 'absent') .. ' '
local may = string.find(ARGV[2], status, 1, true)
if string.find(ARGV[3], status, 1, true) then may = redis.call('ZSCORE', KEYS[2], ARGV[1]) end
local before = {{}}
if ARGV[4] == 'fields' then before = redis.call('HGETALL', KEYS[1]) end
run_commands(6, may, tonumber(ARGV[5]))
if may then return before end
return false
"""


def _nothing(pipeline: Pipeline) -> None: ...


class Transitions:
    """The moves of one Redis's detections. Each raises what Redis's client raises."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._script: Script = connection.register_script(_SCRIPT)

    def make(
        self,
        move: Move,
        job: Job,
        write: Write = _nothing,
        *,
        execution: Execution | None = None,
        always: Write = _nothing,
    ) -> dict[bytes, bytes] | None:
        """Make a move; return None where the detection is in another state, and nothing was written.

        job: of its own, its id and its queue are enough, and for all moves but BEGIN its meta data.
        execution: the one that the detection must be held by, for states where that matters.
        write, always: put commands into a pipeline; those of `always` are done in any case, and first.

        Of BEGIN the job's fields as they were before are returned.
        """
        own = collected(self._connection, always)
        others = collected(self._connection, lambda pipeline: self._write(move, job, write, pipeline))
        fields = cast(
            list[bytes] | None,
            self._script(
                keys=[job_key(job.id), running_key(job.origin)],
                args=[
                    "" if execution is None else execution.composite_key,
                    *(
                        f" {' '.join(RQ_STATUS[one] for one in states)} "
                        for states in (move.sources, move.held)
                    ),
                    "fields" if move is BEGIN else "",
                    len(own),
                    *spelled([*own, *others]),
                ],
            ),
        )
        return None if fields is None else dict(zip(fields[::2], fields[1::2], strict=True))

    def _write(self, move: Move, job: Job, write: Write, pipeline: Pipeline) -> None:
        """Put into a pipeline what each move to a state brings with it, and what this one does."""
        pipeline.hset(job_key(job.id), "status", RQ_STATUS[move.target])
        write(pipeline)
        if move.target is JobStatus.RUNNING:
            return
        if move.target.is_final:
            pipeline.hset(job_key(job.id), "ended_at", utcformat(now()))
            pipeline.delete(stage_key(job.id))
            leave(job.meta.get("share"), job.id, pipeline)
            settle = deliveries.forget if move.target is JobStatus.CANCELLED else deliveries.let_go
            settle(job.meta.get("receiver"), job.id, pipeline)
        pipeline.publish(channel_of(job.id), ENDED if move.target.is_final else CHANGED)
