"""What a person has made of a detection's result, beside what the model said, for as long as the detection.

A correction is one hash on Redis: its document, the result that follows from it, which version it is, and who
wrote it when. Each write says which version it replaces: one script on Redis compares, and writes that and
the counts in the detection's record, or nothing. So of two writers at once one wins, and a write that is sent
again after a lost answer is the one that was made.
"""

from collections.abc import Collection, Mapping
from typing import Any, cast

import redis
from redis.client import Pipeline

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import ChangedMeanwhile, DetectionExpired
from flask_detector.jobs.keys import corrections_key, job_key
from flask_detector.jobs.rq_records import RQ_STATUS
from flask_detector.jobs.serializer import Serializer
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.revisions import Revision

AS_THE_MODEL_SAID = "model"
"""The version of a result that nobody has corrected, or whose correction was withdrawn."""

# KEYS: the job, the correction. ARGV: the status of a job that is done; the versions that may be replaced,
# each between spaces; the one that is written; the one where nothing is; the job's meta data; then the fields
# of the correction.
# Returns the version that is there then, or nothing if the job is gone.
_SCRIPT = """
if redis.call('HGET', KEYS[1], 'status') ~= ARGV[1] then return false end
local found = redis.call('HGET', KEYS[2], 'version') or ARGV[4]
if found == ARGV[3] then return found end
local function may_replace(version) return string.find(ARGV[2], ' ' .. version .. ' ', 1, true) end
if not may_replace('*') and not may_replace(found) then return found end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'version', ARGV[3], unpack(ARGV, 6))
local left = redis.call('PTTL', KEYS[1])
if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
redis.call('HSET', KEYS[1], 'meta', ARGV[5])
return ARGV[3]
"""


class Corrections:
    """The corrections of one Redis. Every method raises BrokerUnavailable or ServiceError."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._script = connection.register_script(_SCRIPT)

    def find(self, id: str) -> tuple[Revision, dict[str, Any] | None]:
        """Return which version there is of a detection's correction, and its document if it is one."""
        with reaching_redis():
            found = cast(
                list[bytes | None],
                self._connection.hmget(
                    corrections_key(id), "version", "changed_at", "changed_by", "document"
                ),
            )
        version, at, by = (None if text is None else text.decode() for text in found[:3])
        document = None if found[3] is None else Serializer.loads(found[3])
        return Revision(version or AS_THE_MODEL_SAID, at, by), document

    def write(
        self,
        id: str,
        revision: Revision,
        *,
        replaces: Collection[str],
        counts: Mapping[str, int],
        document: dict[str, Any] | None = None,
        result: dict[str, Any] | None = None,
    ) -> None:
        """Write a correction, or that there is none any more; nothing if that version is there already.

        replaces: the versions of which one is thought to be there, or ANY among them.
        counts: how many instances each label has that is usually shown.
        document, result: in their JSON form; None to go back to what the model said.

        Raises ChangedMeanwhile where another version is there, and DetectionExpired.
        """
        fields: dict[str, Any] = {"changed_at": revision.changed_at, "changed_by": revision.changed_by}
        if document is not None:
            fields |= {"document": Serializer.dumps(document), "result": Serializer.dumps(result)}
        with reaching_redis():
            data = cast(bytes | None, self._connection.hget(job_key(id), "meta"))
            meta: dict[str, Any] = {} if data is None else Serializer.loads(data)
            meta |= {"counts": dict(counts), "correction": None if document is None else revision.version}
            found = cast(
                bytes | None,
                self._script(
                    keys=[job_key(id), corrections_key(id)],
                    args=[
                        RQ_STATUS[JobStatus.DONE], f" {' '.join(replaces)} ", revision.version,
                        AS_THE_MODEL_SAID, Serializer.dumps(meta),
                        *(part for field in fields.items() for part in field),
                    ],
                ),
            )  # fmt: skip
        if found is None:
            raise DetectionExpired("This detection and its picture have been deleted.")
        if found.decode() != revision.version:
            other, _ = self.find(id)
            raise ChangedMeanwhile(other.version, other.changed_at, other.changed_by)


def forget(id: str, pipeline: Pipeline) -> None:
    """Put into a pipeline what forgets a detection's correction."""
    pipeline.delete(corrections_key(id))
