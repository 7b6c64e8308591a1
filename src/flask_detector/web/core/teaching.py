"""Models are taught from collections, as an operator asks: what a run would do, and what came of one."""

import json
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from flask_detector.collections.classes import counts_of
from flask_detector.collections.documents import Collection, State
from flask_detector.detectors import Stage
from flask_detector.detectors.base import usable_cores
from flask_detector.detectors.zoo import custom
from flask_detector.detectors.zoo.registry import PAIR
from flask_detector.errors import (
    BadParameter,
    BadTrainingData,
    ModelConflict,
    ModelNotInstalled,
    TeachingError,
    UnknownRun,
)
from flask_detector.jobs.lessons import LessonRequest, Run
from flask_detector.jobs.states import UNFINISHED, JobStatus
from flask_detector.process.extras import INSTALL_TEACHING
from flask_detector.teach.lesson import TRAINING_SHARE, can_be_taught, cost_of, division, steps_for
from flask_detector.web.core.service import Service

log = logging.getLogger(__name__)

MODEL: Final = "model.safetensors"

# Pictures with objects: one to learn from, one to test on.
_LEAST_MARKED: Final = 2

# Reading the pictures and starting PyTorch.
_BEGINNING_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Plan:
    """What a run would do, as far as it is known before.

    training, validation: how many pictures. parts: how many prove each other; 1 where some are held out.
    objects: by class. in_doubt: how many pictures there are of which nobody said that everything is marked.
    steps: of all trainings. seconds: how long they are likely to take. memory: at their peak, in bytes.
    """

    training: int
    validation: int
    parts: int
    objects: dict[str, int]
    in_doubt: int
    steps: int
    seconds: float
    memory: int


def plan(service: Service, collection: Collection, request: LessonRequest) -> Plan:
    """Return what a run would do.

    Raises BadParameter, ModelNotInstalled and BadTrainingData for one that can't be done.
    """
    if request.base not in {info.name for info in service.models.known() if can_be_taught(info)}:
        raise BadParameter(
            f"'{request.base[:40]}' can't be taught.",
            hint=f"Choose of: {', '.join(bases(service))}.",
            field="base",
        )
    if service.models.state(request.base).stage not in {Stage.EMBEDDED, Stage.INSTALLED}:
        raise ModelNotInstalled(
            f"The base {request.base} is not installed.",
            hint=f"Install it first: flask-detector models pull {request.base}",
        )
    entries, counts = service.pictures.entries(collection.id), class_counts(service, collection)
    known = {label.casefold() for label in counts}
    for label in request.classes:
        if label.casefold() not in known:
            raise BadParameter(
                f"No object is marked as '{label[:40]}'.",
                hint=f"Marked are: {', '.join(sorted(counts)) or 'none'}.",
                field="classes",
            )
    wanted = {label.casefold() for label in request.classes} or known
    if not wanted:
        raise BadTrainingData("No object is marked in these pictures.")
    if sum(any(label.casefold() in wanted for label in entry.counts) for entry in entries) < _LEAST_MARKED:
        raise BadTrainingData("Objects are marked in one picture alone: on none could it be tested.")
    splits = Counter(entry.split for entry in entries)
    held_out = splits["val"] or splits["test"]
    pictures = len(entries) - (splits["test"] if splits["val"] else 0)
    training, validation, parts = division(pictures, held_out)
    if training < 1 or pictures < 2:
        raise BadTrainingData("These pictures are too few to learn and test.")
    steps = (parts + (parts > 1)) * steps_for(training, cost_of(request.base).batch)
    seconds = _BEGINNING_SECONDS + steps * _seconds_a_step(service, request.base) / TRAINING_SHARE
    return Plan(
        training,
        validation,
        parts,
        {label: number for label, number in counts.items() if label.casefold() in wanted},
        sum(entry.state is not State.VERIFIED for entry in entries),
        steps,
        min(seconds, request.minutes * 60),
        cost_of(request.base).memory,
    )


def bases(service: Service) -> list[str]:
    """Return the names of the models that can be taught and are installed."""
    usable = service.available.usable()
    return [info.name for info in service.models.known() if can_be_taught(info) and info.name in usable]


def class_counts(service: Service, collection: Collection) -> dict[str, int]:
    """Return how many objects of each class are marked, of those that have some.

    Names that differ in capitals are one class, as they are where it is taught.
    """
    spelled: dict[str, str] = {}
    found: Counter[str] = Counter()
    for label, number in counts_of(collection, service.pictures.entries(collection.id)).items():
        if number:
            found[spelled.setdefault(label.casefold(), label)] += number
    return dict(found)


def _seconds_a_step(service: Service, base: str) -> float:
    """Return what a step took in the last run with that base, or else what it takes elsewhere."""
    for run in service.lessons.all():
        if run.status is JobStatus.DONE and run.request.base == base:
            with suppress(UnknownRun):  # its files may be lost
                card = report(service, run)["card"]
                return float(TRAINING_SHARE * card["seconds"] / max(1, card["steps"]))
    return cost_of(base).seconds / usable_cores()


def begin(service: Service, collection: Collection, request: LessonRequest) -> str:
    """Queue a run; return its id.

    Raises TeachingError where PyTorch is nowhere, ModelConflict, QueueFull, and what `plan` raises.
    """
    if not can_teach(service):
        raise TeachingError(
            "No worker is running that can teach: that needs PyTorch.",
            hint=f"Where the workers run: {INSTALL_TEACHING}; then restart them.",
        )
    pair = f"{request.base}-with-{request.name}"
    for name in (request.name, pair):
        custom.check_name(name)
        if name in taken_names(service):
            raise ModelConflict(
                f"A model named {name} exists already or is being taught.", hint="Choose another name."
            )
    plan(service, collection, request)
    id = service.lessons.enqueue(request, collection.name)
    log.info("an operator has %s taught from the collection %s", request.name, collection.id[:8])
    return id


def can_teach(service: Service) -> bool:
    """Tell whether a worker lives that can teach."""
    return any(worker.teaches for worker in service.jobs.workers())


def taken_names(service: Service) -> set[str]:
    """Return the names that models have, or will have."""
    runs = [run for run in service.lessons.all() if run.status in {*UNFINISHED, JobStatus.DONE}]
    return {
        *(info.name for info in service.models.known()),
        *(run.request.name for run in runs),
        *(run.pair for run in runs),
    }


def report(service: Service, run: Run) -> dict[str, Any]:
    """Return what came of a run: its card, the proof by picture, and the pictures' ids by name."""
    found: dict[str, Any] = json.loads(_kept(service, run, "report.json"))
    return found


def add(service: Service, run: Run) -> None:
    """Begin to add a taught model, and its pair with the base, to this server's models.

    Raises UnknownRun and ModelConflict.
    """
    changes = service.model_changes
    for name, variant in ((run.request.name, None), (run.pair, PAIR)):
        changes.check_new(name)
        with changes.new_files([f"{run.request.name}.safetensors"]) as (file,):
            file.write_bytes(model(service, run))
            changes.add(name, file, variant=variant, labels=[], options={})


def model(service: Service, run: Run) -> bytes:
    """Return the file of a taught model; raises UnknownRun."""
    return _kept(service, run, MODEL)


def _kept(service: Service, run: Run, name: str) -> bytes:
    if run.status is not JobStatus.DONE:
        why = "Nothing came of this run." if run.status.is_final else "This run has not ended."
        raise UnknownRun(why, hint="")
    try:
        return service.storage.read(f"{run.path}/{name}")
    except FileNotFoundError as error:
        raise UnknownRun("Nothing is there that came of this run.") from error


def stop_or_delete(service: Service, run: Run) -> None:
    """Cancel a run that has not ended; delete one that has, with all that came of it but its models."""
    if not run.status.is_final:
        service.lessons.cancel(run.id)
        return
    service.storage.remove_folder(run.path)
    service.lessons.delete(run.id)
