"""The models that can be asked for: those that the workers have, wherever they run."""

import time

from flask_detector.detectors import AUTO, ModelInfo, ModelState, ModelStore, Stage
from flask_detector.detectors.zoo.ranking import best_first
from flask_detector.errors import BrokerUnavailable, ModelNotInstalled
from flask_detector.jobs.queue import Jobs
from flask_detector.jobs.workers import WorkerInfo
from flask_detector.settings import Settings

# A page asks several times; workers come and go more slowly.
_REMEMBERED_SECONDS = 1.0

_ELSEWHERE = "It is installed here, but not where the workers run."


class AvailableModels:
    """The models of an installation as its workers can serve them.

    Workers report what they have. A model is offered when each live worker of the queue that its pictures go
    to has it, since any of them may take the picture; without live workers, or without Redis, when this
    machine's folder has it.
    """

    def __init__(self, store: ModelStore, jobs: Jobs, settings: Settings) -> None:
        self._store = store
        self._jobs = jobs
        self._settings = settings
        self._workers: list[WorkerInfo] = []
        self._asked_at = float("-inf")

    def by_state(self) -> list[tuple[ModelInfo, ModelState]]:
        """Return all models that are known here, each with how far it is on its way to being used."""
        return [(info, self._state(info)) for info in self._store.known()]

    def usable(self) -> list[str]:
        """Return the names of the models that can be asked for now."""
        return [
            info.name for info, state in self.by_state() if state.stage in {Stage.EMBEDDED, Stage.INSTALLED}
        ]

    def default(self) -> str:
        """Return the name of the model that a picture gets whose sender names none."""
        if self._settings.model != AUTO:
            return self._settings.model
        served = self._served(AUTO)
        if served is None:
            return self._store.ranked()[0]
        ranked = best_first((i for i in self._store.known() if i.name in served), self.seconds())
        return ranked[0].name if ranked else self._store.ranked()[-1]

    def seconds(self) -> dict[str, float]:
        """Return what a picture takes by model, where the slowest worker runs, as far as it was measured."""
        live = self._live()
        if not live:
            own = {info.name: self._store.seconds(info.name) for info in self._store.known()}
            return {name: seconds for name, seconds in own.items() if seconds is not None}
        names = {name for worker in live for name in worker.seconds}
        return {name: max(worker.seconds.get(name, 0.0) for worker in live) for name in names}

    def resolve(self, name: str) -> str:
        """Return the name of a model; AUTO stands for the default one."""
        return self.default() if name == AUTO else name

    def check(self, name: str) -> None:
        """Raise UnknownModel, or ModelNotInstalled where pictures for it would find no worker that has it."""
        served = self._served(name)
        if served is not None and name not in served:
            self._asked_at = float("-inf")  # a worker may just have told of it
            served = self._served(name)
        if served is None:
            self._store.path(name)
        elif name not in served:
            self._store.info(name)
            raise ModelNotInstalled(
                f"The model {name} is not installed where the workers run.",
                hint=f"Fetch it on each of their machines: flask-detector models pull {name}",
            )

    def _state(self, info: ModelInfo) -> ModelState:
        own = self._store.state(info.name)
        served = self._served(info.name)
        if served is None or own.stage is Stage.EMBEDDED:
            return own
        if info.name in served:
            return ModelState(Stage.INSTALLED)
        if own.stage is Stage.INSTALLED:
            return ModelState(Stage.ABSENT, 0, info.source.size, _ELSEWHERE)
        return own

    def _served(self, name: str) -> frozenset[str] | None:
        """Return the models that all live workers of a model's queue have; None where there are none."""
        queue = self._settings.queue_of(name)
        offers = [worker.models for worker in self._live() if worker.queue == queue]
        return frozenset.intersection(*offers) if offers else None

    def _live(self) -> list[WorkerInfo]:
        if time.monotonic() - self._asked_at > _REMEMBERED_SECONDS:
            try:
                self._workers = self._jobs.workers()
            except BrokerUnavailable:
                self._workers = []
            self._asked_at = time.monotonic()
        return self._workers
