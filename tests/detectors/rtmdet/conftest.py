"""Full-size stand-ins for trained weights, made and converted once a session."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flask_detector.detectors.convert import convert

Arrays = dict[str, "np.ndarray[Any, Any]"]


@pytest.fixture(scope="session")
def synthesized(shared: Path) -> Callable[[str], Arrays]:
    """A function that returns the stand-in's tensors of a size, by the checkpoint's names."""
    reference = shared / "reference" / "rtmdet"
    specification = importlib.util.spec_from_file_location(
        "rtmdet_checkpoint", reference / "synthetic_checkpoint.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    def synthesized(size: str) -> Arrays:
        form = json.loads((reference / f"rtmdet_ins_{size}.params.json").read_text())
        statistics = dict(np.load(reference / f"rtmdet_ins_{size}.statistics.npz"))
        shapes = [(name, tuple(shape)) for name, shape, _ in form["params"]]
        arrays: Arrays = module.synthesize(shapes, statistics)
        return arrays

    return synthesized


@pytest.fixture(scope="session")
def of_boxes(shared: Path) -> Arrays:
    """The stand-in's tensors of RTMDet without masks, size tiny."""
    path = Path(__file__).parents[3] / "tools" / "rtmdet_reference.py"
    specification = importlib.util.spec_from_file_location("rtmdet_reference", path)
    assert specification is not None
    assert specification.loader is not None
    module: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    arrays: Arrays = module.synthesized(shared)
    return arrays


@pytest.fixture(scope="session")
def boxes_converted(
    of_boxes: Arrays,
    write_safetensors: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """A function that returns a folder of converted weights, by the name of the reference."""

    def converted(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        config = f"bbox_head=dict(exp_on_reg={name.endswith('_exp')})"
        write_safetensors(folder / "weights.safetensors", of_boxes, cfg=config)
        convert(folder / "weights.safetensors", folder / "converted")
        return folder / "converted"

    return converted


@pytest.fixture(scope="session")
def converted(
    synthesized: Callable[[str], Arrays],
    write_safetensors: Callable[[Path, Arrays], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """A function that returns a folder of converted weights of a size."""
    made: dict[str, Path] = {}

    def converted(size: str) -> Path:
        if size not in made:
            folder = tmp_path_factory.mktemp(size)
            write_safetensors(folder / "weights.safetensors", synthesized(size))
            convert(folder / "weights.safetensors", folder / "converted")
            made[size] = folder / "converted"
        return made[size]

    return converted
