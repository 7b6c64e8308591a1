"""The steps on the way, against those of the originals: apartment.jpg, float32, the limits of the README."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from flask_detector.detectors.mask_rcnn.model import MaskRCNN
from flask_detector.detectors.mask_rcnn.preprocess import prepare
from flask_detector.detectors.mask_rcnn.roi_pooler import Pooler
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Origin, Variant
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits

LIMITS = Limits(10**8, 10**8)
REFERENCES = {
    Variant.MMDET_CAFFE: "mmdet/mask_rcnn_r50_caffe_fpn",
    Variant.MMDET_PYTORCH: "mmdet/mask_rcnn_r50_fpn",
    Variant.TORCHVISION_V1_EPS: "torchvision/maskrcnn_resnet50_fpn",
    Variant.TORCHVISION_V2: "torchvision/maskrcnn_resnet50_fpn_v2",
}

Floats = npt.NDArray[np.float32]


@pytest.mark.parametrize(
    "variant",
    [
        Variant.MMDET_CAFFE,
        pytest.param(Variant.TORCHVISION_V2, marks=pytest.mark.slow),
        pytest.param(Variant.MMDET_PYTORCH, marks=pytest.mark.slow),
        pytest.param(Variant.TORCHVISION_V1_EPS, marks=pytest.mark.slow),
    ],
)
def test_input_maps_and_answers_equal_the_originals(
    variant: Variant, converted: Callable[[Variant], Path], shared: Path
) -> None:
    steps = np.load(shared / "reference" / f"{REFERENCES[variant]}.apartment_steps.npz")
    picture, _ = decode.decode((shared / "pictures" / "apartment.jpg").read_bytes(), LIMITS)
    pixels = prepare(picture, TRAITS[variant]).pixels
    assert (1, *pixels.transpose(2, 0, 1).shape) == tuple(steps["input.shape"])
    for crop in ("input.crop0", "input.crop1", "input.crop2"):
        y, x = steps[f"{crop}.y_x"]
        _, height, width = steps[crop].shape
        ours = pixels[y : y + height, x : x + width].transpose(2, 0, 1)
        assert np.abs(ours - steps[crop]).max() <= 1e-5

    network = MaskRCNN(converted(variant), name="original", precision=Precision.FLOAT32)._network
    network.features(pixels)
    maps = network.maps.table.rows[network.maps.rows_of_cells]
    ends = np.cumsum([rows * columns for rows, columns in network.maps.grids])
    for level, rows in enumerate(np.split(maps, ends[:-1]), start=2):
        assert_near(rows, steps, f"fpn.p{level}", 5e-4)
    answers, _ = network.proposals()
    for level, rows in enumerate(answers):
        names = [key.removesuffix(".shape") for key in steps.files if key.endswith(".shape")]
        (logits,) = [
            name for name in names if name.startswith("rpn.objectness") and name.endswith(LEVELS[level])
        ]
        (deltas,) = [name for name in names if name.startswith("rpn.deltas") and name.endswith(LEVELS[level])]
        assert_near(rows[:, :3], steps, logits, 5e-4)
        assert_near(rows[:, 3:], steps, deltas, 5e-4)


LEVELS = tuple(f".p{level}" for level in range(2, 7))


def assert_near(rows: Floats, steps: "np.lib.npyio.NpzFile", name: str, limit: float) -> None:
    """Compare rows (height * width, channels) with the samples of an array (1, channels, height, width)."""
    _, channels, height, width = steps[f"{name}.shape"]
    assert rows.shape == (height * width, channels)
    values = rows.T.reshape(-1)[steps[f"{name}.indices"]]
    assert np.abs(values - steps[f"{name}.values"]).max() <= limit


@pytest.mark.parametrize("origin", Origin)
def test_boxes_that_need_more_samples_than_there_is_room_for_are_pooled_in_parts(origin: Origin) -> None:
    random = np.random.default_rng(0)
    grids = [(200, 336), (100, 168), (50, 84), (25, 42)]
    table = random.random((sum(rows * columns for rows, columns in grids), 256)).astype(np.float32)
    corners = np.sort(random.random((30, 2, 2)) * [1333, 800], axis=1)
    boxes = corners.reshape(30, 4).astype(np.float32)
    boxes[:10] = [0, 5, 1300, 14]
    pooled = []
    for capacity in (1 << 19, 1 << 13):
        pooler = Pooler(table, cells=7, block=25, capacity=capacity, origin=origin, threads=2)
        blocks = [
            features[: (block.stop - block.start) * 49].copy()
            for block, features in pooler.blocks(boxes, grids, np.arange(len(table), dtype=np.int32))
        ]
        pooled.append(np.concatenate(blocks))
    assert (pooled[0] == pooled[1]).all()
    assert np.abs(pooled[0]).max() > 0


@pytest.mark.parametrize("origin", Origin)
def test_a_constant_map_is_pooled_to_that_constant(origin: Origin) -> None:
    grids = [(64, 64), (32, 32), (16, 16), (8, 8)]
    table = np.full((sum(rows * columns for rows, columns in grids), 256), 3, np.float32)
    boxes = np.array([[20, 30, 90, 120], [10, 10, 200, 210], [40, 40, 41, 41]], np.float32)
    pooler = Pooler(table, cells=7, block=4, capacity=1 << 14, origin=origin, threads=1)
    ((_, features),) = pooler.blocks(boxes, grids, np.arange(len(table), dtype=np.int32))
    assert np.allclose(features[: 3 * 49], 3, rtol=1e-5)
