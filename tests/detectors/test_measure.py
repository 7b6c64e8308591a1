from typing import Any

import numpy as np
import pytest

from flask_detector.detectors import AUTO, loaded, model_store
from flask_detector.detectors.loaded import DetectorPool
from flask_detector.detectors.measure import measure
from flask_detector.settings import Settings


class Clock:
    """Both clocks that are looked at: the time of day, and that of the processors."""

    def __init__(self) -> None:
        self.day = self.processor = 0.0

    def perf_counter(self) -> float:
        return self.day

    def process_time(self) -> float:
        return self.processor


class Detector:
    """One that takes as long for each picture as it is told, and as much processor time."""

    def __init__(self, name: str, clock: Clock | None = None, *seconds: tuple[float, float]) -> None:
        self.name = name
        self.seen = 0
        self.is_resting = False
        self._clock = clock or Clock()
        self._seconds = iter(seconds)

    def detect(self, image: Any, **options: Any) -> None:
        assert (np.asarray(image).ndim, np.asarray(image).std() > 20) == (3, True)
        self.seen += 1
        day, processor = next(self._seconds)
        self._clock.day += day
        self._clock.processor += processor

    def rest(self) -> None:
        self.is_resting = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("flask_detector.detectors.measure.time", clock)
    return clock


def test_the_first_run_which_makes_kernels_does_not_count_nor_does_one_that_was_held_up(clock: Clock) -> None:
    detector: Any = Detector("one", clock, (0.01, 0.01), (0.15, 0.2), (0.1, 0.2), (0.15, 0.2))
    assert measure(detector) == pytest.approx(0.1)
    assert detector.is_resting


def test_where_others_compute_a_run_counts_no_longer_than_the_processor_time_of_its_threads(
    clock: Clock,
) -> None:
    detector: Any = Detector("one", clock, *[(1.4, 0.5)] * 4)
    assert measure(detector) == pytest.approx(0.5)


def test_a_slow_model_is_not_asked_again_and_again(clock: Clock) -> None:
    detector: Any = Detector("one", clock, (1.5, 3.0), (0.6, 1.2))
    assert measure(detector) == pytest.approx(0.6)
    assert detector.seen == 2


def test_an_idle_worker_measures_its_default_and_takes_the_next_one_where_it_is_slow(
    settings: Settings, monkeypatch: Any
) -> None:
    store = model_store(settings)
    monkeypatch.setattr(
        "flask_detector.detectors.zoo.store.ModelStore._is_ready",
        lambda self, info: info.name in {"nanodet-g", "rtmdet-ins-s", "rtmdet-ins-x"},
    )
    seconds = {"rtmdet-ins-x": 3.0, "rtmdet-ins-s": 0.3}
    asked: list[str] = []

    def stand_in_measure(detector: Any) -> float:
        asked.append(detector.name)
        return seconds[detector.name]

    monkeypatch.setattr(loaded, "load_detector", lambda name, **options: Detector(name))
    monkeypatch.setattr(loaded, "measure", stand_in_measure)
    pool = DetectorPool(settings)
    assert pool.get(AUTO).name == "rtmdet-ins-x"  # no picture waits for a measurement
    assert asked == []
    pool.measure()
    assert [pool.get(AUTO).name for _ in range(2)] == ["rtmdet-ins-s"] * 2
    assert asked == ["rtmdet-ins-x", "rtmdet-ins-s"]
    assert store.seconds("rtmdet-ins-x") == 3.0
    assert DetectorPool(settings).get(AUTO).name == "rtmdet-ins-s"
    assert asked == ["rtmdet-ins-x", "rtmdet-ins-s"]


def test_what_pictures_take_is_known_of_the_embedded_model_though_nothing_installs_it(
    settings: Settings,
) -> None:
    pool = DetectorPool(settings)
    assert pool.get(AUTO).name == "nanodet-g"
    assert pool.available() == {"nanodet-g": None}
    for seconds in (0.5, 0.06, 0.05, 0.07, 0.01):
        pool.ran("nanodet-g", seconds)
    assert pool.available() == {"nanodet-g": 0.06}
    for seconds in [0.9] * 5 + [0.058] * 5:
        pool.ran("nanodet-g", seconds)
    assert pool.available() == {"nanodet-g": 0.06}
    for seconds in [0.04] * 5:
        pool.ran("nanodet-g", seconds)
    assert DetectorPool(settings).available() == {"nanodet-g": 0.04}
