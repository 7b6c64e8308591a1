"""The files of one model, and the right to change them.

::

    models/<name>/<file name>           the weights: whole and checked, or not there
    models/<name>/<file name>.part      an unfinished download
    models/<name>/converted-<version>/  the graphs made of them
    models/<name>/model.json            what a user's own model is
    models/<name>/seconds.json          what a picture takes, by machine
    models/<name>/state.json            what is being done with it, or why that failed
    models/<name>/cancel                whoever works on it is to stop
    models/<name>/draft/                what is being made; left over only by a killed process
    models/.locks/<name>                held by the one who changes any of these
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flask_detector.atomic_files import sync
from flask_detector.detectors.zoo.download import DISK_FULL, MAKE_ROOM
from flask_detector.detectors.zoo.install_state import (
    ModelState,
    OnState,
    Stage,
    StateFile,
    is_locked,
    locked,
    write_json,
)
from flask_detector.errors import DetectorError, ModelConflict, ModelError, ModelNotInstalled

_SECONDS = "seconds.json"


class ModelFolder:
    """The folder of the model `name` among the folders in `root`; made by the first who works in it."""

    def __init__(self, root: Path, name: str) -> None:
        self.path = root / name
        self._lock = root / ".locks" / name
        self._state = StateFile(self.path / "state.json")
        self._cancel = self.path / "cancel"

    def graphs(self, version: int) -> Path:
        """Return where the graphs of that version lie."""
        return self.path / f"converted-{version}"

    def told(self) -> ModelState | None:
        """Return why the last work failed, or how far the work that is being done now has come, or None."""
        told = self._state.read()
        # What a killed process told last holds no longer; the kernel has dropped its lock.
        if told is None or told.stage is Stage.FAILED or is_locked(self._lock):
            return told
        return None

    def cancel(self) -> None:
        """Have whoever works here stop, as soon as there is something to tell."""
        if self.told() is not None:
            with self._writable():
                self._cancel.touch()

    @contextmanager
    def work(self, on_progress: OnState | None = None, *, keep_failure: bool = True) -> Iterator[OnState]:
        """Hold the only right to change this folder; give a function that tells how far the work has come.

        While another one holds it, `on_progress` is called with what that one tells. A failure is kept for
        `told`, unless `keep_failure` is False, until the next work here succeeds.

        Raises ModelError when the folder can't be written.
        """

        def tell(state: ModelState) -> None:
            if self._cancel.exists():
                raise ModelNotInstalled(f"What was done with the model {self.path.name} was cancelled.")
            self._state.write(state)
            if on_progress is not None:
                on_progress(state)

        def tell_of_other() -> None:
            state = self._state.read()
            if on_progress is not None and state is not None and state.stage is not Stage.FAILED:
                on_progress(state)

        with self._writable(), locked(self._lock, while_waiting=tell_of_other):
            self.path.mkdir(parents=True, exist_ok=True)
            failure = ""
            self._cancel.unlink(missing_ok=True)
            try:
                with self._writable():
                    yield tell
            except ModelNotInstalled:
                raise
            except DetectorError as error:
                failure = str(error)
                raise
            except Exception:
                failure = "An unexpected error; see the log."
                raise
            finally:
                self._cancel.unlink(missing_ok=True)
                self._state.clear()
                if failure and keep_failure:
                    self._state.write(ModelState(Stage.FAILED, note=failure))
                with suppress(OSError):
                    self.path.rmdir()  # if nothing came of it

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Give an empty folder for what is being made; what stays in it is deleted."""
        draft = self.path / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def put_graphs(self, made: Path, version: int) -> None:
        """Move a folder of graphs to its place and delete those of other versions."""
        graphs = self.graphs(version)
        for file in made.rglob("*"):
            sync(file)
        shutil.rmtree(graphs, ignore_errors=True)
        made.replace(graphs)
        sync(self.path)
        for old in set(self.path.glob("converted-*")) - {graphs}:
            shutil.rmtree(old, ignore_errors=True)

    def seconds(self, machine: str) -> float | None:
        """Return the seconds that a picture takes on that machine; None where that was not measured."""
        return self._all_seconds().get(machine)

    def record_seconds(self, machine: str, seconds: float) -> None:
        """Keep what was measured. Raises OSError where that can't be written."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / _SECONDS, {**self._all_seconds(), machine: round(seconds, 4)})

    def _all_seconds(self) -> dict[str, float]:
        try:
            form = json.loads((self.path / _SECONDS).read_text(encoding="utf-8"))
            return {str(machine): float(seconds) for machine, seconds in form.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def delete(self, weights: Path) -> None:
        """Delete everything here, the weights first; raises ModelError while another one works here."""

        def give_up() -> None:
            # Who only looks whether there is work holds the lock for a moment too.
            if self.told() is not None:
                raise ModelConflict(
                    f"The model {self.path.name} is already being downloaded or converted.",
                    hint="Wait until that is done, or stop it.",
                )

        with self._writable(), locked(self._lock, while_waiting=give_up):
            if weights.is_file():
                weights.unlink()
            shutil.rmtree(self.path)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in DISK_FULL:
                raise ModelError(f"The disk of {self.path} is full.", hint=MAKE_ROOM) from error
            raise ModelError(
                f"{self.path} can't be written: {error.strerror or error}.",
                hint="Make it writable, or set DETECTOR_MODELS_DIR or DETECTOR_DATA_DIR to another one.",
            ) from error
