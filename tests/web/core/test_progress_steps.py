import pytest

from flask_detector.jobs.states import JobStatus
from flask_detector.web.core.progress_steps import step_of, steps


@pytest.mark.parametrize(
    ("status", "stage", "title"),
    [
        (JobStatus.QUEUED, None, "In the queue"),
        (JobStatus.RUNNING, None, "Read the picture"),
        (JobStatus.RUNNING, "decode", "Read the picture"),
        (JobStatus.RUNNING, "network", "Run the model"),
        (JobStatus.RUNNING, "boxes", "Find objects"),
        (JobStatus.RUNNING, "a stage of a later model", "Find objects"),
        (JobStatus.RUNNING, "paste", "Outline them"),
    ],
)
def test_a_detection_is_at_the_step_of_its_stage(status: JobStatus, stage: str | None, title: str) -> None:
    assert steps(has_masks=True)[step_of(status, stage)].title == title


def test_who_gives_no_masks_outlines_nothing() -> None:
    assert list(steps(has_masks=False)) == list(steps(has_masks=True))[:-1]
