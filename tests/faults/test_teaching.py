"""A whole installation teaches RTMDet-Ins boxes and masks, also where the process that does it is killed."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.client import Client
from flask_detector.detectors import model_store
from flask_detector.process.extras import missing_for_teaching
from flask_detector.settings import Settings
from flask_detector.structures.annotation import Annotation
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.detections import Instance
from flask_detector.structures.masks import Mask
from flask_detector.worker.teaching import TEACHER
from tests.support.lessons import picture
from tests.support.stack import Stack, environment_of, running_stack
from tests.support.waiting import wait_until
from tests.support.weights import rtmdet_weights, write_safetensors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(missing_for_teaching()), reason="what teaching needs is not installed"),
]


@pytest.fixture
def stack(tmp_path: Path, shared: Path) -> Iterator[Stack]:
    """An installation with an RTMDet-Ins, tiny."""
    write_safetensors(tmp_path / "tiny.safetensors", rtmdet_weights(shared, "tiny"))
    model_store(Settings(data_dir=tmp_path / "data")).add("tiny", tmp_path / "tiny.safetensors")
    with running_stack(tmp_path / "data") as stack:
        yield stack


@pytest.fixture
def client(stack: Stack) -> Client:
    """An administrator's."""
    command = [sys.executable, "-m", "flask_detector", "keys", "create", "--admin"]
    environment = environment_of(Settings(data_dir=stack.data_dir))
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return Client(stack.url, api_key=made.stdout.strip())


def collection_of(client: Client) -> str:
    """Make a collection of six pictures with outlined objects, two of them for validation; return its id."""
    id = client.create_collection("Walls")
    for number in range(6):
        data, marked = picture(number)
        objects = tuple(
            Annotation(
                f"p{n}",
                label,
                "person",
                None,
                False,
                (x, y, x + w, y + h),
                Mask(x, y, w, h, np.array([0, w * h], np.uint32)),
            )
            for n, (label, (x, y, w, h)) in enumerate(marked)
        )
        annotations = Annotations(160, 120, objects, ("brick", "tile"), verified=True)
        client.add_to_collection(id, data, f"{number}.png", annotations, "val" if number > 3 else "train")
    return id


def teachers(stack: Stack) -> list[int]:
    """Return the processes of an installation that teach."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_one = TEACHER.encode() in (process / "cmdline").read_bytes().split(b"\0")
            if is_one and str(stack.data_dir).encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def hurried(stack: Stack, but: int = 0) -> int:
    """Return the process that teaches, once there is one, with as much of the processor as others have.

    Itself it takes what is left over, which is nothing while other tests run.
    """
    wait_until(lambda: bool({*teachers(stack)} - {but}), 120)
    (process,) = {*teachers(stack)} - {but}
    group = Path(f"/proc/{process}/autogroup")
    with suppress(OSError):  # who is not root can't, and not every system has groups
        wait_until(lambda: group.read_text().endswith("nice 19\n"), 120)  # it steps back when it begins
        os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))
        group.write_text("0")
    return process


def test_a_killed_run_goes_on_and_its_models_find_masks_once_a_person_adds_them(
    stack: Stack, client: Client
) -> None:
    collection = collection_of(client)
    run = client.teaching.begin(collection, "walls", base="tiny", minutes=0.5)["id"]
    teacher = hurried(stack)
    wait_until(lambda: client.teaching.find(run)["progress"]["part"] > 0, 600)
    os.kill(teacher, signal.SIGKILL)
    hurried(stack, but=teacher)

    ended = client.teaching.follow(run)

    assert ended["error"] is None
    assert ended["progress"]["remarks"][0].startswith("Going on from where the last run was stopped")
    card = ended["card"]
    assert (card["training"], card["validation"], card["classes"]) == (4, 2, ["brick", "tile"])
    assert card["after"][""]["mask_ap"] is not None
    assert ended["models"] == {"walls": "absent", "tiny-with-walls": "absent"}
    client.teaching.add(run)
    wait_until(lambda: set(client.teaching.find(run)["models"].values()) == {"installed"}, 120)
    file = io.BytesIO()
    client.teaching.download(run, file)
    assert len(file.getvalue()) > 10_000_000

    data, _ = picture(0)
    alone = client.detect(data, model="walls", min_score=0)
    assert (alone.labels, len(alone)) == (("brick", "tile"), 100)
    assert alone.masks is not None
    base, pair = (client.detect(data, model=model, min_score=0.2) for model in ("tiny", "tiny-with-walls"))
    assert len(base) > 0
    assert {told(one) for one in base} <= {told(one) for one in pair}


def told(one: Instance) -> tuple[Any, ...]:
    assert one.mask is not None
    return one.label, one.score, one.box, one.mask.x, one.mask.y, one.mask.counts.tobytes()
