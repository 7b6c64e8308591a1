"""Every move of the table, and every one that isn't in it, against a real Redis."""

from collections.abc import Callable

import pytest
import redis
from rq.executions import Execution
from rq.job import Job

from flask_detector.imaging.decode import PictureInfo
from flask_detector.jobs import states
from flask_detector.jobs.keys import job_key, running_key
from flask_detector.jobs.queue import Jobs, new_id
from flask_detector.jobs.rq_records import RQ_STATUS
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import JobStatus, Move
from flask_detector.jobs.transitions import Transitions
from flask_detector.settings import Settings
from tests.support.redis_content import content

MOVES = {name: move for name, move in vars(states).items() if isinstance(move, Move)}

# The diagram of docs/architecture/jobs.md: from, to, whether only the worker may that has it in hand.
DRAWN = {
    ("BEGIN", "queued", "running", False),
    ("BEGIN", "running", "running", True),
    ("RENEW", "running", "running", True),
    ("FINISH", "queued", "done", False),
    ("FINISH", "running", "done", False),
    ("FAIL", "running", "failed", True),
    ("GIVE_BACK", "running", "queued", True),
    ("CANCEL", "queued", "cancelled", False),
    ("CANCEL", "running", "cancelled", False),
    ("TRY_AGAIN", "failed", "queued", False),
}


def test_the_table_is_what_is_drawn() -> None:
    table = set()
    for name, move in MOVES.items():
        table |= {(name, source.value, move.target.value, False) for source in move.sources}
        table |= {(name, source.value, move.target.value, True) for source in move.held}
    assert table == DRAWN


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "not held"])
@pytest.mark.parametrize("before", [*JobStatus, None], ids=str)
@pytest.mark.parametrize("move", MOVES)
def test_a_move_is_made_from_its_states_and_refused_from_all_others(
    connection: redis.Redis,
    settings: Settings,
    queue_picture: Callable[..., None],
    move: str,
    before: JobStatus | None,
    is_held: bool,
) -> None:
    id = new_id()
    jobs = Jobs(connection, settings)
    queue_picture(jobs, id, "a.jpg", PictureInfo("JPEG", "image/jpeg", 64, 48))
    job = Job.fetch(id, connection=connection, serializer=Serializer)
    execution = Execution("e", id, connection)
    if is_held:
        connection.zadd(running_key(job.origin), {execution.composite_key: -1})
    if before is None:
        jobs.delete(id)
    else:
        connection.hset(job_key(id), "status", RQ_STATUS[before])
    there = content(connection)

    transitions = Transitions(connection)
    if MOVES[move] is states.BEGIN:
        made = transitions.begin(jobs.queue, execution, 8, {"written": "1"}, {}) is not None
        assert jobs.queue.job_ids == ([id] if before is JobStatus.RUNNING and is_held else [])
        connection.delete(jobs.queue.key)
        there.pop(jobs.queue.key.encode(), None)
    else:
        made = transitions.make(
            MOVES[move], job, lambda pipeline: pipeline.hset(job.key, "written", "1"), execution=execution
        )

    sources = MOVES[move].sources | (MOVES[move].held if is_held else set())
    assert made == (before in sources)
    if before in sources:
        assert jobs.find(id).status is MOVES[move].target
        assert connection.hget(job.key, "written") == b"1"
    else:
        assert content(connection) == there
