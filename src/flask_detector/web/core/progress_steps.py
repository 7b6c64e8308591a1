"""The progress steps of pages that wait, and which one a detection, or a run of teaching, is at."""

from dataclasses import dataclass
from typing import Final

from flask_detector.jobs.states import JobStatus


@dataclass(frozen=True)
class Step:
    """Some of a detector's stages under the name that people read."""

    title: str
    stages: frozenset[str]


# A stage that no step names belongs to finding.
QUEUED: Final = "queued"
_READING: Final = "read"
_FINDING: Final = "find"
_OUTLINING: Final = "outline"

STEPS: Final = {
    QUEUED: Step("In the queue", frozenset()),
    _READING: Step("Read the picture", frozenset({"decode", "prepare"})),
    "look": Step("Run the model", frozenset({"features", "network"})),
    _FINDING: Step("Find objects", frozenset({"proposals", "boxes", "select"})),
    _OUTLINING: Step("Outline them", frozenset({"masks", "paste"})),
}


def steps(*, has_masks: bool) -> dict[str, Step]:
    """Return the steps of a detection, in their order, by the names that the page's script knows them by."""
    return {name: step for name, step in STEPS.items() if has_masks or name != _OUTLINING}


def step_of(status: JobStatus, stage: str | None) -> str:
    """Return the name of the step that a waiting detection is at."""
    if status is JobStatus.QUEUED:
        return QUEUED
    if stage is None:
        return _READING
    return next((name for name, step in STEPS.items() if stage in step.stages), _FINDING)


TEACHING_STEPS: Final = {
    QUEUED: "In the queue",
    "Reading": "Read the pictures",
    "Learning": "Learn and test",
}


def teaching_step_of(status: JobStatus, what: str) -> str:
    """Return the name of the step that a run of teaching is at, by what it says that it does."""
    word = what.partition(" ")[0].replace("Testing", "Learning")
    return word if status is not JobStatus.QUEUED and word in TEACHING_STEPS else QUEUED
