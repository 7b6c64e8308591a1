"""What is compiled when pictures of several sizes come in turns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_detector.detectors.mask_rcnn import feature_maps
from flask_detector.detectors.mask_rcnn.feature_maps import DirectMaps, FeatureMaps, TiledMaps
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Variant
from flask_detector.detectors.openvino_runtime import Graph, Session, cpu_has_bfloat16
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.process import available_memory

UPRIGHT, LYING, SQUARE = (96, 64), (64, 96), (64, 64)

ONE = ["features"]
BOTH = ["features", "proposals"]

needs_bfloat16 = pytest.mark.skipif(
    not cpu_has_bfloat16(), reason="this processor does not compute in bfloat16 itself"
)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the graphs that have been compiled."""
    names: list[str] = []

    def recording(graph: Graph, **options: Any) -> Session:
        names.append(graph.get_friendly_name())
        return Session(graph, **options)

    monkeypatch.setattr(feature_maps, "Session", recording)
    return names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "sizes", "expected"),
    [
        pytest.param(DirectMaps, [UPRIGHT, LYING, UPRIGHT, LYING], 2 * BOTH, marks=needs_bfloat16),
        # The third takes the place of the one that has not come for longest.
        pytest.param(DirectMaps, [UPRIGHT, LYING, UPRIGHT, SQUARE, UPRIGHT], 3 * BOTH, marks=needs_bfloat16),
        pytest.param(DirectMaps, [UPRIGHT, LYING, SQUARE, UPRIGHT], 4 * BOTH, marks=needs_bfloat16),
        (TiledMaps, [UPRIGHT, UPRIGHT, LYING, UPRIGHT], 3 * ONE),
    ],
)
def test_two_sizes_stay_compiled_in_bfloat16_and_one_in_float32(
    kind: Callable[..., FeatureMaps],
    sizes: list[tuple[int, int]],
    expected: list[str],
    compiled: list[str],
    converted: Callable[[Variant], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(available_memory, "available", lambda: 512 << 20)
    maps = kind(WeightsFile.open(converted(Variant.MMDET_CAFFE)), TRAITS[Variant.MMDET_CAFFE], threads=2)
    compiled.clear()
    for size in sizes:
        maps.compile_for(size)
    assert compiled == expected


@pytest.mark.slow
@needs_bfloat16
def test_one_size_stays_compiled_in_a_container_with_little_memory_left(
    compiled: list[str], converted: Callable[[Variant], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(available_memory, "available", lambda: 256 << 20)
    maps = DirectMaps(
        WeightsFile.open(converted(Variant.MMDET_CAFFE)), TRAITS[Variant.MMDET_CAFFE], threads=2
    )
    for size in (UPRIGHT, LYING, UPRIGHT):
        maps.compile_for(size)
    assert compiled == 3 * BOTH
