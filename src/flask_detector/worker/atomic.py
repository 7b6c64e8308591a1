"""Writes about a detection that happen at once, or not at all where it does not stand as it must.

Redis looks and writes in one step and one round trip: a worker does this twice for each picture.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.client import Pipeline
from redis.commands.core import Script
from rq.job import Job
from rq.job import JobStatus as RqStatus

# KEYS: the job, and what waits for its end.
# ARGV: the worker; "fields" where the job's are wanted; how many statuses let `may` pass, and those; how many
# let it pass only for the worker that has the job, and those; how many commands are done in any case; then
# all commands, each after its number of words.
# Returns the fields as they were and whether anything waits for the job's end, or nothing if it may not.
_SCRIPT = """
local status, worker = unpack(redis.call('HMGET', KEYS[1], 'status', 'worker_name'))
local before = {}
if ARGV[2] == 'fields' then before = redis.call('HGETALL', KEYS[1]) end
local place, may = 3, false
for round = 1, 2 do
  local last = place + tonumber(ARGV[place])
  for i = place + 1, last do
    if status == ARGV[i] and (round == 1 or worker == ARGV[1]) then may = true end
  end
  place = last + 1
end
local always = tonumber(ARGV[place])
place = place + 1
local number = 0
while ARGV[place] do
  local words = tonumber(ARGV[place])
  if may or number < always then redis.call(unpack(ARGV, place + 1, place + words)) end
  place = place + words + 1
  number = number + 1
end
if may then return {before, redis.call('EXISTS', KEYS[2])} end
return false
"""


@dataclass(frozen=True)
class Found:
    """A job as it was before something was written about it; the fields are those that were asked for."""

    fields: dict[bytes, bytes]
    has_dependents: bool


class Guarded:
    """The guarded writes of one worker. Each raises what Redis's client raises."""

    def __init__(self, connection: redis.Redis, worker: str) -> None:
        self._connection = connection
        self._worker = worker
        self._script: Script = connection.register_script(_SCRIPT)

    def write(
        self,
        id: str,
        write: Callable[[Pipeline], object],
        *,
        where: Collection[RqStatus] = (),
        where_mine: Collection[RqStatus] = (),
        always: Callable[[Pipeline], object] = lambda pipeline: None,
        with_fields: bool = False,
    ) -> Found | None:
        """Write if a job has one of the statuses; return it as it was before, or None.

        where_mine: statuses that do only if the job is this worker's.
        write, always: put commands into a pipeline; those of `always` are done in any case, and first.
        """
        own, others = self._commands(always), self._commands(write)
        words: list[Any] = [self._worker, "fields" if with_fields else ""]
        words += [len(where), *where, len(where_mine), *where_mine, len(own)]
        for command in [*own, *others]:
            words += [len(command), *command]
        keys = [Job.key_for(id), Job.dependents_key_for(id)]
        found = cast(tuple[list[bytes], int] | None, self._script(keys=keys, args=words))
        if found is None:
            return None
        fields, has_dependents = found
        return Found(dict(zip(fields[::2], fields[1::2], strict=True)), bool(has_dependents))

    def _commands(self, write: Callable[[Pipeline], object]) -> list[tuple[Any, ...]]:
        with self._connection.pipeline() as pipeline:  # it only collects
            write(pipeline)
            return [tuple(words) for words, _ in pipeline.command_stack]
