"""Commands that a script on Redis runs: it looks, decides and writes in one step and one round trip."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis
from redis.client import Pipeline

# Runs the commands from ARGV[start] on, each after its number of words; where `may` is false only the first
# so many. To be put into a script; what a script begins to write is written to its end.
RUN_COMMANDS = """
local function run_commands(start, may, always)
  local number = 0
  while ARGV[start] do
    local words = tonumber(ARGV[start])
    if may or number < always then redis.call(unpack(ARGV, start + 1, start + words)) end
    start = start + words + 1
    number = number + 1
  end
end
"""


def collected(connection: redis.Redis, write: Callable[[Pipeline], object]) -> list[tuple[Any, ...]]:
    """Return the commands that are put into a pipeline, which sends none of them."""
    with connection.pipeline() as pipeline:
        write(pipeline)
        return [tuple(words) for words, _ in pipeline.command_stack]


def spelled(commands: Iterable[Sequence[Any]]) -> list[Any]:
    """Return commands as a script's RUN_COMMANDS takes them."""
    return [word for command in commands for word in (len(command), *command)]
