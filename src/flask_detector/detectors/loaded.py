"""The detectors that one process has loaded."""

import logging
import math
import threading
import time

from flask_detector.detectors import AUTO, load_detector, model_store
from flask_detector.detectors.base import Detector
from flask_detector.detectors.measure import measure
from flask_detector.detectors.zoo.registry import Embedded
from flask_detector.errors import ModelError, ModelNotInstalled
from flask_detector.process.memory import give_back_code, give_back_unused
from flask_detector.settings import Settings

log = logging.getLogger(__name__)

# Giving memory back and taking it again costs some 30 ms: only where no picture follows soon.
_PAUSE_SECONDS = 0.25

# So long the best model is the one that it was; no longer, since a model that was removed must not be used.
_BEST_SECONDS = 0.5

# So many pictures together say how long one takes, and change what is known if it is so much less.
_RUNS = 5
_CLEARLY_LESS = 0.9


class DetectorPool:
    """Loads a model when it is first asked for and keeps it; one at a time, so that memory stays bounded."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = model_store(settings)
        self._detector: Detector | None = None
        self._broken: set[str] = set()
        self._measured: set[str] = set()
        self._runs: dict[str, list[float]] = {}
        self._changing = threading.Lock()
        self._best_until = -math.inf
        self._rest_at = math.inf
        self._is_waiting_to_rest = False

    @property
    def loaded(self) -> str | None:
        """The name of the model that is loaded."""
        return None if self._detector is None else self._detector.name

    def folder_id(self) -> str:
        """Return what tells this machine's folder of models from those of others; "" if there is none."""
        return self._store.folder_id()

    def available(self) -> dict[str, float | None]:
        """Return the models that can be loaded, each with the seconds that it takes, None if not measured."""
        names = [name for name in self._store.installed() if name not in self._broken]
        return {name: self._store.seconds(name) for name in names}

    def get(self, name: str) -> Detector:
        """Return the detector of that name, or with `auto` the one of the settings or the best that loads.

        Raises UnknownModel, ModelNotInstalled or CheckpointError.
        """
        self._stay_awake()
        return self._get(name)

    def refresh(self) -> None:
        """Load what `auto` means now, if that is another model than the one that is loaded."""
        self._get(AUTO)

    def measure(self) -> None:
        """Measure how long a picture takes with the default model, unless that is known.

        It may be another model then. This takes seconds: to be called when no picture waits.
        """
        while self._settings.model == AUTO and self._measures(self._best()):
            self._best_until = -math.inf  # it may be slow here

    def ran(self, name: str, seconds: float) -> None:
        """Take what pictures took as measured where nothing else has, or where it was clearly less than that.

        It is the middle one of several. That a busy machine takes longer makes no model a slow one.
        """
        runs = self._runs.setdefault(name, [])
        runs.append(seconds)
        if len(runs) == _RUNS:
            middle, known = sorted(runs)[_RUNS // 2], self._store.seconds(name)
            runs.clear()
            if known is None or middle < _CLEARLY_LESS * known:
                self._store.record_seconds(name, middle)

    def rest_soon(self) -> None:
        """Give back what only a detection needs, unless a detector is asked for within a moment."""
        with self._changing:
            self._rest_at = time.monotonic() + _PAUSE_SECONDS
            if not self._is_waiting_to_rest:
                self._is_waiting_to_rest = True
                threading.Thread(target=self._rest_when_due, name="rest", daemon=True).start()

    def rest(self) -> None:
        """Give back what only a detection needs."""
        detector = self._detector
        if detector is not None:
            detector.rest()
        give_back_unused()
        give_back_code()

    def _get(self, name: str) -> Detector:
        wanted = self._settings.model if name == AUTO else name
        return self._best() if wanted == AUTO else self._load(wanted)

    def _stay_awake(self) -> None:
        with self._changing:
            self._rest_at = math.inf

    def _rest_when_due(self) -> None:
        # One thread for all pictures of a busy time: starting one for each cost more than its looking.
        while True:
            time.sleep(_PAUSE_SECONDS)
            with self._changing:
                if time.monotonic() >= self._rest_at:
                    self._rest_at = math.inf
                    self._is_waiting_to_rest = False
                    break
        self.rest()

    def _best(self) -> Detector:
        if self._detector is not None and time.monotonic() < self._best_until:
            return self._detector
        while names := [name for name in self._store.ranked() if name not in self._broken]:
            try:
                detector = self._load(names[0])
            except ModelError as error:
                self._give_up(names[0], error)
            else:
                self._best_until = time.monotonic() + _BEST_SECONDS
                return detector
        raise ModelNotInstalled("No model is installed.", hint="Run 'flask-detector models' to list them.")

    def _measures(self, detector: Detector) -> bool:
        """Measure how long a picture takes, unless that is known; tell whether it was measured.

        The embedded model is the default whatever it takes, where it is.
        """
        name = detector.name
        is_embedded = isinstance(self._store.info(name).source, Embedded)
        if is_embedded or name in self._measured or self._store.seconds(name) is not None:
            return False
        self._measured.add(name)  # also where it can't be kept
        try:
            self._store.record_seconds(name, measure(detector))
        except ModelError as error:
            self._give_up(name, error)
        return True

    def _give_up(self, name: str, error: ModelError) -> None:
        """Leave a model alone: a damaged file must not stop an installation that has another one."""
        self._broken.add(name)
        log.error("the model %s can't be used: %s", name, error)

    def _load(self, name: str) -> Detector:
        if self._detector is None or self._detector.name != name:
            # Which one a process begins with is no news.
            level = logging.DEBUG if self._detector is None else logging.INFO
            self._best_until = -math.inf
            self._detector = None  # frees its memory before the next one needs some
            self._detector = load_detector(name, settings=self._settings)
            give_back_unused()
            give_back_code()
            log.log(level, "the model %s is loaded", name)
        return self._detector
