"""Models are installed, added, cancelled and removed on this machine, as an operator asks.

Each change runs in a process of its own (`detectors/zoo/errand.py`). How far it is, whoever began it, is
known from the model's folder; how it ended is kept in Redis for a day, so that every web process can say it.
"""

import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import redis

from flask_detector.broker.connection import reaching_redis
from flask_detector.detectors import ModelState, ModelStore, Stage
from flask_detector.detectors.zoo import custom
from flask_detector.detectors.zoo.download import MAKE_ROOM, in_words
from flask_detector.detectors.zoo.install_state import CANCELLED_STATUS
from flask_detector.errors import BadParameter, BrokerUnavailable, ModelConflict, ModelError, RequestTooLarge
from flask_detector.jobs.inspect import Overview
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.workers import WORKER_SILENCE
from flask_detector.settings import Settings, variable_of

log = logging.getLogger(__name__)

# The largest file of weights that is taken in: twice what training leaves of the largest model of the table.
MOST_BYTES = 4_000_000_000

_KEY = "flask-detector:model-changes"
_KEPT_SECONDS = 24 * 3600

# What a killed process left of an upload is deleted when nothing has come for so long.
_STALE_SECONDS = 3600
_SPARE_BYTES = 200_000_000

# Workers look into the folder with each heartbeat.
_LOOK_SECONDS = 0.2

# What Linux's file systems take for a name is 255 bytes, some encrypting ones 143.
_LONGEST_NAME = 100
_ERRAND = [sys.executable, "-m", "flask_detector.detectors.zoo.errand"]
_HANDED_ON = ("data_dir", "models_dir", "mirror_url", "precision", "threads")


@dataclass(frozen=True)
class Change:
    """How the last change of a model ended: well with notes, or not, with a message and a hint."""

    name: str
    notes: list[str] = field(default_factory=list)
    code: str = ""
    message: str = ""
    hint: str = ""


class ModelChanges:
    """What an operator does with the models of this machine's folder."""

    def __init__(self, settings: Settings, connection: redis.Redis, store: ModelStore, jobs: Jobs) -> None:
        self._settings = settings
        self._connection = connection
        self._store = store
        self._jobs = jobs
        self._overview = Overview(connection, jobs)
        self._running: dict[str, subprocess.Popen[str]] = {}

    def install(self, name: str) -> None:
        """Begin to fetch a published model. Raises UnknownModel, and ModelConflict for one that is there."""
        state = self._store.state(name)
        if state.stage in {Stage.EMBEDDED, Stage.INSTALLED}:
            raise ModelConflict(f"The model {name} is installed already.", hint="There is nothing to do.")
        self._check_is_free(name)
        self._begin({"name": name}, None)

    def check_new(self, name: str) -> None:
        """Raise BadParameter or ModelConflict where no model can be added by that name."""
        custom.check_name(name)
        self._check_is_free(name)
        if name in self._store.installed():
            raise ModelConflict(
                f"A model named {name} already exists.", hint="Choose another name, or remove it first."
            )

    def check_room(self, size: int) -> None:
        """Raise RequestTooLarge where a file of so many bytes can't be taken in, and ModelError."""
        if size > MOST_BYTES:
            raise RequestTooLarge(
                f"The file has {in_words(size)}; at most {in_words(MOST_BYTES)} are accepted.",
                hint="Save the model's state dict alone, without the optimizer's.",
            )
        free = max(0, shutil.disk_usage(self.uploads).free - _SPARE_BYTES)
        if size > free:
            raise RequestTooLarge(
                f"The file has {in_words(size)}, but only {in_words(free)} are free for it on this server.",
                hint=MAKE_ROOM,
            )

    @property
    def uploads(self) -> Path:
        """The folder for what is being uploaded, on the models' disk; what was left there is deleted."""
        folder = self._store.folder / ".uploads"
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ModelError(
                f"{folder} can't be written: {error.strerror}.",
                hint="Make it writable, or set DETECTOR_MODELS_DIR or DETECTOR_DATA_DIR to another one.",
            ) from error
        for left in folder.iterdir():
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        return folder

    @contextmanager
    def new_files(self, names: Sequence[str]) -> Iterator[list[Path]]:
        """Give paths for an upload's files, in a folder of their own that is deleted where the block fails.

        Raises BadParameter where two have the same name.
        """
        kept = [_kept_name(name) for name in names]
        if len(set(kept)) < len(kept):
            raise BadParameter(
                "Two of the files have the same name.", hint="Send each file once.", field="file"
            )
        folder = self.uploads / secrets.token_hex(8)
        folder.mkdir()
        try:
            yield [folder / name for name in kept]
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def add(
        self, name: str, file: Path, *, variant: str | None, labels: Sequence[str], options: Mapping[str, str]
    ) -> None:
        """Begin to add a model of the operator's own; its file, with the folder around it, is deleted then.

        Raises BadParameter and ModelConflict.
        """
        self.check_new(name)
        asked = {"name": name, "file": str(file), "variant": variant}
        self._begin({**asked, "labels": list(labels), "options": dict(options)}, file.parent)

    def cancel(self, name: str) -> None:
        """Stop what is being done with a model, whichever process does it; what was downloaded is kept."""
        process = self._running.get(name)
        if process is not None:
            process.terminate()
        else:
            self._store.cancel(name)
        log.info("an operator cancelled what was done with the model %s", name)

    def remove(self, name: str) -> None:
        """Delete a model's files. Raises UnknownModel; ModelConflict while pictures wait for it."""
        most = self._settings.max_queue
        items = [*self._overview.waiting(most), *self._overview.running(most)]
        if waiting := sum(item.model == name for item in items):
            raise ModelConflict(
                f"{waiting} {'picture is' if waiting == 1 else 'pictures are'} waiting for the model {name}.",
                hint="Remove it when they are done.",
            )
        self._store.remove(name)
        self.forget(name)
        log.info("an operator removed the model %s", name)

    def at_work(self) -> dict[str, ModelState]:
        """Return the models that some process works on, by name, and how far each is."""
        begun = {name: ModelState(Stage.CONVERTING) for name in list(self._running)}
        return {**begun, **self._store.at_work()}

    def hosts_elsewhere(self) -> list[str]:
        """Return the hosts of workers that have a folder of models of their own."""
        here = self._store.folder_id()
        return sorted({w.host for w in self._jobs.workers() if w.models_folder not in {"", here}})

    def ended(self) -> list[Change]:
        """Return how the changes of the last day ended, one a model."""
        with reaching_redis():
            kept = cast(dict[bytes, bytes], self._connection.hgetall(_KEY))
        return [Change(**json.loads(form)) for _, form in sorted(kept.items())]

    def forget(self, name: str) -> None:
        """Say no more of how a change of that model ended."""
        with reaching_redis():
            self._connection.hdel(_KEY, name)

    def _check_is_free(self, name: str) -> None:
        if name in self.at_work():
            raise ModelConflict(
                f"The model {name} is being installed or added right now.",
                hint="Wait until that is done, or cancel it.",
            )

    def _begin(self, asked: dict[str, Any], folder: Path | None) -> None:
        """Start a process for what is asked; the folder is deleted when it ends."""
        name = asked["name"]
        self.forget(name)
        given = {variable_of(one): getattr(self._settings, one) for one in _HANDED_ON}
        environment = {variable: str(value) for variable, value in given.items() if value is not None}
        process = subprocess.Popen(
            _ERRAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self._running[name] = process
        threading.Thread(
            target=self._await, args=(process, asked, folder), name=f"model {name}", daemon=True
        ).start()
        log.info("an operator has the model %s %s", name, "added" if "file" in asked else "installed")

    def _await(self, process: "subprocess.Popen[str]", asked: dict[str, Any], folder: Path | None) -> None:
        name = asked["name"]
        told, _ = process.communicate(json.dumps(asked))
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            if process.returncode != CANCELLED_STATUS:
                change = _change(name, told)
                if not change.code:
                    self._await_workers(name)
                self._keep(change)
        finally:  # not before, or for a moment nobody would know of the model
            del self._running[name]

    def _await_workers(self, name: str) -> None:
        """Return when the workers that share this folder have found a new model there, or fell silent."""
        here = self._store.folder_id()
        deadline = time.monotonic() + WORKER_SILENCE
        with suppress(BrokerUnavailable):
            while time.monotonic() < deadline and any(
                worker.models_folder == here and name not in worker.models for worker in self._jobs.workers()
            ):
                time.sleep(_LOOK_SECONDS)

    def _keep(self, change: Change) -> None:
        log.info("the model %s: %s", change.name, change.message or "done")
        with suppress(redis.RedisError), self._connection.pipeline() as pipeline:
            pipeline.hset(_KEY, change.name, json.dumps(asdict(change)))
            pipeline.expire(_KEY, _KEPT_SECONDS)
            pipeline.execute()


def _kept_name(name: str) -> str:
    """Return what an upload's file is called on the disk: its own name, which others may refer to."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(letter if letter.isprintable() else "_" for letter in last)
    return printable.encode()[-_LONGEST_NAME:].decode(errors="ignore").lstrip(".") or "weights"


def _change(name: str, told: str) -> Change:
    """Return how a change ended, by what its process has written."""
    try:
        return Change(name, **json.loads(told))
    except (ValueError, TypeError):
        hint = "It may have needed more memory than there is; the log may tell more."
        return Change(name, [], "internal_error", f"What was done with {name} ended early.", hint)
