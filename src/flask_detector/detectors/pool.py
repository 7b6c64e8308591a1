"""The detectors that one process has loaded."""

from flask_detector.detectors import load_detector, model_store
from flask_detector.detectors.base import Detector
from flask_detector.settings import Settings


class DetectorPool:
    """Loads a model when it is first asked for and keeps it; one at a time, so that memory stays bounded."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = model_store(settings)
        self._detector: Detector | None = None

    @property
    def loaded(self) -> str | None:
        """The name of the model that is loaded."""
        return None if self._detector is None else self._detector.name

    def get(self, name: str) -> Detector:
        """Return the detector of that name, or with `auto` the one of the settings or the best installed.

        Raises UnknownModel or ModelNotInstalled.
        """
        wanted = self._settings.model if name == "auto" else name
        if wanted == "auto":
            wanted = self._store.default()
        if self._detector is None or self._detector.name != wanted:
            self._detector = None  # frees its memory before the next one needs some
            self._detector = load_detector(wanted, settings=self._settings)
        return self._detector
