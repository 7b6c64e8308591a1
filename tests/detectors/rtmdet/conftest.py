"""Full-size stand-ins for trained weights, made and converted once a session."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest

from flask_detector.detectors.convert import convert
from tests.support.weights import Arrays, rtmdet_boxes_weights, rtmdet_weights, write_safetensors


@pytest.fixture(scope="session")
def synthesized(shared: Path) -> Callable[[str], Arrays]:
    """A function that returns the stand-in's tensors of a size, by the checkpoint's names."""
    return partial(rtmdet_weights, shared)


@pytest.fixture(scope="session")
def of_boxes(shared: Path) -> Arrays:
    """The stand-in's tensors of RTMDet without masks, size tiny."""
    return rtmdet_boxes_weights(shared)


@pytest.fixture(scope="session")
def boxes_converted(of_boxes: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that returns a folder of converted weights, by the name of the reference."""

    def converted(name: str) -> Path:
        config = f"bbox_head=dict(exp_on_reg={name.endswith('_exp')})"
        return _converted(tmp_path_factory.mktemp(name), of_boxes, cfg=config)

    return converted


@pytest.fixture(scope="session")
def converted(
    synthesized: Callable[[str], Arrays], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A function that returns a folder of converted weights of a size."""
    return cache(lambda size: _converted(tmp_path_factory.mktemp(size), synthesized(size)))


def _converted(folder: Path, arrays: Arrays, **texts: str) -> Path:
    write_safetensors(folder / "weights.safetensors", arrays, **texts)
    convert(folder / "weights.safetensors", folder / "converted")
    return folder / "converted"
