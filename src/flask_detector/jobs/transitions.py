"""Moves a detection from one state to the next, each move in one step on Redis.

A script looks whether the detection is in a state that the move begins from (`states.py`), then writes the
new one with all that goes with it, or nothing. So nothing happens twice, though a command is sent again after
a lost answer, two workers hold the same picture, or its user cancels at that moment.
"""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, cast

import redis
from redis.client import Pipeline
from redis.commands.core import Script
from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.results import Result
from rq.utils import now, utcformat

from flask_detector.jobs import deliveries
from flask_detector.jobs.admission import leave
from flask_detector.jobs.atomic import RUN_COMMANDS, collected, spelled
from flask_detector.jobs.keys import execution_key, job_key, running_key, stage_key
from flask_detector.jobs.notifications import channel_of
from flask_detector.jobs.rq_records import RQ_STATUS
from flask_detector.jobs.states import BEGIN, JobStatus, Move

Write = Callable[[Pipeline], object]
Fields = Mapping[str, Any]

# KEYS: the queue; what was begun from it.
# ARGV: the execution; what keys of jobs and of executions begin with; the status that lets it pass, and the
# one that lets it pass while it is held by that execution; the execution's seconds; how many words the job's
# new fields have, then these, then the execution's.
# Returns the id and all fields. What is in the queue but no longer waits goes out of it.
_BEGIN = """
local function is(id, status) return redis.call('HGET', ARGV[2] .. id, 'status') == status end
local id
for _, held in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local one = string.sub(held, 1, -#ARGV[1] - 2)
  if string.sub(held, -#ARGV[1]) == ARGV[1] and is(one, ARGV[5]) then id = one end
end
while not id do
  local next = redis.call('LPOP', KEYS[1])
  if not next then return false end
  if is(next, ARGV[4]) then id = next end
end
local job, held, own = ARGV[2] .. id, id .. ':' .. ARGV[1], 8 + ARGV[7]
redis.call('HSET', job, 'status', ARGV[5], unpack(ARGV, 8, own - 1))
redis.call('HSET', ARGV[3] .. held, 'job_id', id, unpack(ARGV, own))
redis.call('EXPIRE', ARGV[3] .. held, ARGV[6])
redis.call('ZADD', KEYS[2], '+inf', held)
return {id, redis.call('HGETALL', job)}
"""

# KEYS: the job; what was begun from its queue.
# ARGV: the execution; the statuses that let it pass, and those that let it pass while it is held by that
# execution, each between spaces; how many commands are done in any case; then all commands, each after its
# number of words.
_MOVE = f"""{RUN_COMMANDS}
local status = ' ' .. (redis.call('HGET', KEYS[1], 'status') or 'absent') .. ' '
local may = string.find(ARGV[2], status, 1, true)
if string.find(ARGV[3], status, 1, true) then may = redis.call('ZSCORE', KEYS[2], ARGV[1]) end
run_commands(5, may, tonumber(ARGV[4]))
return may and 1 or 0
"""


_ENDS = {JobStatus.FAILED: Result.Type.FAILED, JobStatus.CANCELLED: Result.Type.STOPPED}


def _nothing(pipeline: Pipeline) -> None: ...


class Transitions:
    """The moves of one Redis's detections. Each raises what Redis's client raises."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._begin: Script = connection.register_script(_BEGIN)
        self._move: Script = connection.register_script(_MOVE)

    def begin(
        self, queue: Queue, execution: Execution, seconds: int, fields: Fields, own: Fields
    ) -> tuple[str, dict[bytes, bytes]] | None:
        """Make the move BEGIN with the next detection of a queue; return its id and its job's fields.

        execution: of no job yet. That which it has begun already is returned again: the answer was lost.
        seconds: how long it may be silent.
        fields, own: what the job and the execution are to have.

        Return None where nothing waits.
        """
        (waiting,), (running,) = BEGIN.sources, BEGIN.held
        answer = cast(
            tuple[bytes, list[bytes]] | None,
            self._begin(
                keys=[queue.key, queue.started_job_registry.key],
                args=[
                    execution.id, job_key(""), execution_key(""), RQ_STATUS[waiting], RQ_STATUS[running],
                    seconds, 2 * len(fields), *chain(*fields.items()), *chain(*own.items()),
                ],
            ),
        )  # fmt: skip
        if answer is None:
            return None
        id, found = answer
        return id.decode(), dict(zip(found[::2], found[1::2], strict=True))

    def make(
        self,
        move: Move,
        job: Job,
        write: Write = _nothing,
        *,
        execution: Execution | None = None,
        always: Write = _nothing,
    ) -> bool:
        """Make a move; tell whether: of a detection in another state nothing is written.

        job: of its own, its id, its queue and its meta data are enough.
        execution: the one that the detection must be held by, for states where that matters.
        write, always: put commands into a pipeline; those of `always` are done in any case, and first.
        """
        own = collected(self._connection, always)
        others = collected(self._connection, lambda pipeline: self._write(move, job, write, pipeline))
        made = self._move(
            keys=[job_key(job.id), running_key(job.origin)],
            args=[
                "" if execution is None else execution.composite_key,
                *(f" {' '.join(RQ_STATUS[one] for one in states)} " for states in (move.sources, move.held)),
                len(own),
                *spelled([*own, *others]),
            ],
        )
        return bool(made)

    def _write(self, move: Move, job: Job, write: Write, pipeline: Pipeline) -> None:
        """Put into a pipeline what each move to a state brings with it, and what this one does."""
        fields: dict[Any, Any] = {"status": RQ_STATUS[move.target]}
        if move.target.is_final:
            fields["ended_at"] = utcformat(now())
        pipeline.hset(job_key(job.id), mapping=fields)
        write(pipeline)
        if move.target is JobStatus.RUNNING:
            return
        if move.target.is_final:
            pipeline.delete(stage_key(job.id))
            if (
                move.target is not JobStatus.DONE
            ):  # a result wakes those who wait for the end, and so does this
                Result.create(job, _ENDS[move.target], job.failure_ttl, pipeline=pipeline)
            leave(job.meta.get("share"), job.id, pipeline)
            settle = deliveries.forget if move.target is JobStatus.CANCELLED else deliveries.let_go
            settle(job.meta.get("receiver"), job.id, pipeline)
        pipeline.publish(channel_of(job.id), "")
