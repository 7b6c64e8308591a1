"""Writes about a detection that happen at once, or not at all where it does not stand as it must.

Redis looks and writes in one step and one round trip: a worker does this twice for each picture.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

import redis
from redis.client import Pipeline
from redis.commands.core import Script
from rq.job import Job
from rq.job import JobStatus as RqStatus

# Runs the commands from ARGV[place] on, each after its number of words; where `may` is false only the first
# so many. To be put into a script; what a script begins to write is written to its end.
RUN_COMMANDS = """
local function run_commands(place, may, always)
  local number = 0
  while ARGV[place] do
    local words = tonumber(ARGV[place])
    if may or number < always then redis.call(unpack(ARGV, place + 1, place + words)) end
    place = place + words + 1
    number = number + 1
  end
end
"""

# KEYS: the job.
# ARGV: the worker; "fields" where the job's are wanted; how many statuses let `may` pass, and those; how many
# let it pass only for the worker that has the job, and those; how many commands are done in any case; then
# all commands, each after its number of words.
# Returns the fields as they were, or nothing if it may not.
_SCRIPT = f"""{RUN_COMMANDS}
local status, worker = unpack(redis.call('HMGET', KEYS[1], 'status', 'worker_name'))
local before = {{}}
if ARGV[2] == 'fields' then before = redis.call('HGETALL', KEYS[1]) end
local place, may = 3, false
for round = 1, 2 do
  local last = place + tonumber(ARGV[place])
  for i = place + 1, last do
    if status == ARGV[i] and (round == 1 or worker == ARGV[1]) then may = true end
  end
  place = last + 1
end
run_commands(place + 1, may, tonumber(ARGV[place]))
if may then return before end
return false
"""


class Guarded:
    """Guarded writes, of one worker where that matters. Each raises what Redis's client raises."""

    def __init__(self, connection: redis.Redis, worker: str = "") -> None:
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
    ) -> dict[bytes, bytes] | None:
        """Write if a job has one of the statuses; return its fields as they were before, or None.

        where_mine: statuses that do only if the job is this worker's.
        with_fields: whether any are returned; none otherwise.
        write, always: put commands into a pipeline; those of `always` are done in any case, and first.
        """
        own, others = collected(self._connection, always), collected(self._connection, write)
        words: list[Any] = [self._worker, "fields" if with_fields else ""]
        words += [len(where), *where, len(where_mine), *where_mine, len(own), *spelled([*own, *others])]
        fields = cast(list[bytes] | None, self._script(keys=[Job.key_for(id)], args=words))
        return None if fields is None else dict(zip(fields[::2], fields[1::2], strict=True))


def collected(connection: redis.Redis, write: Callable[[Pipeline], object]) -> list[tuple[Any, ...]]:
    """Return the commands that are put into a pipeline, which sends none of them."""
    with connection.pipeline() as pipeline:
        write(pipeline)
        return [tuple(words) for words, _ in pipeline.command_stack]


def spelled(commands: Iterable[Sequence[Any]]) -> list[Any]:
    """Return commands as a script's RUN_COMMANDS takes them."""
    return [word for command in commands for word in (len(command), *command)]
