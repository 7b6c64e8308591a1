"""A run of teaching: from a data set to two installed models and a card, through stops and restarts.

::

    teach/.unfinished/<name>/run.json      what was asked for
    teach/.unfinished/<name>/pictures/     the pictures as they were at the beginning
    teach/.unfinished/<name>/*.pt          checkpoints of unfinished trainings
    teach/.unfinished/<name>/*.npz         weights of finished ones
    teach/<name>/<name>.safetensors, card.json, proof.json    what came of it
    teach/.lock                            held by the one that teaches
"""

import io
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from flask_detector.atomic_files import write_whole
from flask_detector.datasets import open_dataset
from flask_detector.detectors import ModelStore, model_store
from flask_detector.detectors.zoo import custom
from flask_detector.detectors.zoo.download import DISK_FULL, MAKE_ROOM
from flask_detector.detectors.zoo.install_state import locked
from flask_detector.detectors.zoo.registry import PAIR
from flask_detector.errors import ModelConflict, TeachingError
from flask_detector.imaging.limits import Limits
from flask_detector.process import available_memory
from flask_detector.process.extras import INSTALL_TEACHING, missing_for_teaching
from flask_detector.settings import Settings
from flask_detector.structures.boxes import Floats
from flask_detector.structures.labels import plural
from flask_detector.teach import measure
from flask_detector.teach.bases import base_of
from flask_detector.teach.examples import Example, Found, TrainingData
from flask_detector.teach.lesson import TRAINING_SHARE, Data, Lesson, Listener, Queued, cost_of, steps_for
from flask_detector.teach.parts import Part, learned_from, parts, remarks_on
from flask_detector.teach.report import Card, card_of, clock, proof_of
from flask_detector.teach.taking import take

_FEW_STEPS: Final = 0.6
_PROOFS: Final = 4  # of the unfinished model, while it is trained


def teach(
    lesson: Lesson,
    settings: Settings,
    listener: Listener,
    *,
    restart: bool = False,
    queued: Queued | None = None,
) -> Card:
    """Teach a model, install it alone and as a pair, and return the card.

    A run that was stopped goes on from its last checkpoint, with the pictures as they were when it began.

    restart: begin again instead.

    Raises TeachingError, BadParameter, ModelConflict, DatasetError, and KeyboardInterrupt with everything
    kept that the next run goes on from.
    """
    require_packages()
    for name in (lesson.name, lesson.pair):
        custom.check_name(name)
    folder = settings.data_dir / "teach"

    def wait() -> None:
        if queued is None:
            raise ModelConflict("Another model is being taught.", hint="Wait until that is done, or stop it.")
        listener.progress("Waiting", 0, None, None)

    with _words_for_failures(folder), locked(folder / ".lock", while_waiting=wait):
        return _Run(lesson, settings, folder, listener, queued).finish(restart=restart)


def require_packages() -> None:
    """Raise TeachingError where a package is missing that only teaching and exporting need."""
    if missing := missing_for_teaching():
        raise TeachingError(
            f"Teaching needs packages that are not installed: {', '.join(missing)}.",
            hint=f"Install them: {INSTALL_TEACHING}",
        )


class _Run:
    def __init__(
        self, lesson: Lesson, settings: Settings, folder: Path, listener: Listener, queued: Queued | None
    ) -> None:
        self._lesson, self._settings, self._listener, self._queued = lesson, settings, listener, queued
        self._unfinished, self._finished = folder / ".unfinished" / lesson.name, folder / lesson.name
        if queued is not None:
            self._unfinished, self._finished = queued.folder, queued.folder / "finished"
        self._store: ModelStore = model_store(settings)
        self._base = base_of(lesson.base, self._store)
        self._started = time.monotonic()
        self._trained_seconds, self._steps = 0.0, 0
        self._trainings, self._training = 1, 0

    def finish(self, *, restart: bool) -> Card:
        """Do what is left to do."""
        self._require_memory()
        self._begin(restart=restart)
        data = TrainingData.load(self._unfinished / "pictures") or self._take()
        chosen = parts(data)
        remarks = [*data.remarks, *remarks_on(data, chosen)]
        for remark in remarks:
            self._listener.say(remark)
        self._trainings = len(chosen) + (len(chosen) > 1)
        seconds = self._lesson.minutes * 60 * TRAINING_SHARE / self._trainings
        self._announce(data, chosen, seconds * self._trainings)
        found: list[tuple[Example, Found]] = []
        for number, part in enumerate(chosen):
            weights = self._train(f"part{number + 1}", part, data.classes, seconds)
            found += zip(part.validation, self._found(weights, data.classes, part.validation), strict=True)
        if len(chosen) > 1:
            weights = self._train("whole", Part(learned_from(chosen), []), data.classes, seconds)
        if self._steps < _FEW_STEPS * (
            wanted := self._trainings * steps_for(len(learned_from(chosen)), self._base.batch)
        ):
            remarks.append(
                f"Only {self._steps} of {wanted} steps fitted into its time: give it more, or teach when the "
                "machine has less to do."
            )
        return self._install(data, chosen, weights, found, tuple(remarks))

    def _begin(self, *, restart: bool) -> None:
        asked, file = self._lesson.to_json(), self._unfinished / "run.json"
        if file.exists() and not restart:
            if json.loads(file.read_bytes()) != asked:
                raise ModelConflict(
                    f"A run for {self._lesson.name} with other pictures or options was stopped.",
                    hint="Use --restart to begin again, or choose another name.",
                )
            self._listener.say(
                "Going on from where the last run was stopped, with the pictures as they were."
            )
            return
        if not file.exists():  # what a run has left that was killed when it was done
            shutil.rmtree(self._unfinished, ignore_errors=True)
        for name in (self._lesson.name, self._lesson.pair):
            if name in {info.name for info in self._store.known()}:
                raise ModelConflict(
                    f"A model named {name} already exists.",
                    hint=f"Choose another name, or remove it first: flask-detector models remove {name}",
                )
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._unfinished.mkdir(parents=True)
        write_whole(file, json.dumps(asked).encode())

    def _take(self) -> TrainingData:
        lesson, say = self._lesson, self._listener
        pictures = self._unfinished / "pictures"
        shutil.rmtree(pictures, ignore_errors=True)
        try:
            with self._open_data() as dataset:
                data = take(
                    dataset,
                    pictures,
                    self._base,
                    Limits.of(self._settings),
                    classes=lesson.classes,
                    is_partly_marked=lesson.is_partly_marked,
                    on_picture=lambda number: say.progress(f"Reading picture {number}", 0, None, None),
                )
            parts(data)  # so that pictures that are too few leave nothing behind
            return data
        except BaseException:
            shutil.rmtree(self._unfinished, ignore_errors=True)
            raise

    def _open_data(self) -> AbstractContextManager[Data]:
        if self._queued is not None:
            return self._queued.open_data()
        return open_dataset(self._lesson.data, limits=Limits.of(self._settings))

    def _announce(self, data: TrainingData, chosen: Sequence[Part], seconds: float) -> None:
        from flask_detector.teach.training import hardware

        training, validation = len(learned_from(chosen)), len(chosen[0].validation)
        pictures = f"{training} {plural('picture', training)}"
        how = (
            f"tested on {validation}" if len(chosen) == 1 else f"tested on each other in {len(chosen)} parts"
        )
        self._listener.say(
            f"Teaching {', '.join(data.classes)} from {pictures}, {how}, on "
            f"{hardware(self._settings)}: at most {clock(seconds / TRAINING_SHARE)}, less if "
            f"{steps_for(training, self._base.batch)} steps take less."
        )

    def _require_memory(self) -> None:
        takes = cost_of(self._base.name).memory
        if (free := available_memory.available()) is not None and free < takes:
            raise TeachingError(
                f"Teaching takes about {takes / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are left.",
                hint="Stop other programs, or teach on another machine and add the model here.",
            )

    def _train(self, name: str, part: Part, classes: tuple[str, ...], seconds: float) -> dict[str, Floats]:
        """Return the weights of a training, which a run before this may have finished or begun."""
        from flask_detector.teach.training import Step, Training

        number, self._training = self._training, self._training + 1
        done = self._unfinished / f"{name}.npz"
        if done.exists():
            with np.load(done) as saved:
                facts = json.loads(str(saved["facts"]))
                self._trained_seconds += facts["seconds"]
                self._steps += facts["steps"]
                return {key: saved[key] for key in saved.files if key != "facts"}
        checkpoint = self._unfinished / f"{name}.pt"
        training = Training(
            self._base, part.training, len(classes), seed=self._lesson.seed, seconds=seconds, file=checkpoint
        )
        proofs = [
            n / _PROOFS for n in range(1, _PROOFS) if n / _PROOFS > training.so_far.part and part.validation
        ]

        def on_step(step: Step) -> None:
            so_far = (number + step.part) / self._trainings
            left = step.seconds / step.part * (self._trainings - number) - step.seconds
            self._listener.progress("Learning", so_far, left, step.loss)
            if proofs and step.part >= proofs[0]:
                proofs.pop(0)
                found = self._found(training.weights, classes, part.validation)
                by_class = measure.figures(part.validation, found, classes, min_score=self._base.min_score)
                total = by_class[""]
                self._listener.proven(so_far, step.loss, total.ap50 or 0, total.ap or 0)

        weights, last = training.run(on_step), training.so_far
        facts = json.dumps({"seconds": last.seconds, "steps": last.number})
        stored = io.BytesIO()
        np.savez(stored, facts=np.array(facts), **weights)  # type: ignore[arg-type]  # numpy's stub takes any for allow_pickle
        write_whole(done, stored.getvalue())
        checkpoint.unlink(missing_ok=True)
        self._trained_seconds += last.seconds
        self._steps += last.number
        return weights

    def _found(
        self, weights: dict[str, Floats], classes: tuple[str, ...], examples: Sequence[Example]
    ) -> list[Found]:
        detector = self._base.taught(weights, classes, self._unfinished / "proof")
        return measure.found_in(detector, examples, lambda: self._listener.progress("Testing", 0, None, None))

    def _install(
        self,
        data: TrainingData,
        chosen: Sequence[Part],
        weights: dict[str, Floats],
        found: Sequence[tuple[Example, Found]],
        remarks: tuple[str, ...],
    ) -> Card:
        from flask_detector.teach.training import hardware

        examples, answers = [one for one, _ in found], [one for _, one in found]
        suggested = self._base.min_score
        added = measure.shifts(examples, answers, data.classes, suggested=suggested)
        self._base.shift(weights, added)
        calibrated = measure.calibrated_by_others(examples, answers, data.classes, suggested=suggested)
        card = card_of(
            data,
            chosen,
            found,
            calibrated,
            names=(self._lesson.name, self._lesson.pair, self._lesson.base),
            seconds=max(self._trained_seconds, time.monotonic() - self._started),
            steps=self._steps,
            hardware=hardware(self._settings),
            remarks=remarks,
        )
        self._finished.mkdir(exist_ok=True)
        proof = proof_of(examples, calibrated, data.classes, min_score=suggested)
        write_whole(self._finished / "proof.json", json.dumps(proof).encode())
        file = self._finished / f"{self._lesson.name}.safetensors"
        about = {"base": self._lesson.base, "replaces": data.replaces, "card": card.to_json()}
        self._base.write_checkpoint(file, weights, data.classes, about)
        write_whole(self._finished / "card.json", json.dumps(card.to_json(), indent=2).encode())
        if self._queued is not None:
            self._queued.keep(self._finished)
        else:
            self._add(file)
        (self._unfinished / "run.json").unlink()
        shutil.rmtree(self._unfinished)
        return card

    def _add(self, file: Path) -> None:
        for name, variant in ((self._lesson.name, None), (self._lesson.pair, PAIR)):
            if name not in self._store.installed():
                self._store.add(name, file, variant=variant)


@contextmanager
def _words_for_failures(folder: Path) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # PyTorch says it in words alone, or of what failed by it.
        is_of_memory = "memory" in str(error) or isinstance(error.__context__, MemoryError)
        if isinstance(error, RuntimeError) and not is_of_memory:
            raise
        raise TeachingError(
            "There is not enough memory to teach.",
            hint="Stop other programs, then run the same command again.",
        ) from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise TeachingError(f"The disk of {folder} is full.", hint=MAKE_ROOM) from error
        raise TeachingError(
            f"{error.filename or folder} can't be used: {error.strerror or error}."
        ) from error
