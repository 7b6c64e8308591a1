"""Full-size stand-ins for trained weights, made and converted once a session."""

import pickle
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from flask_detector.detectors.convert import convert
from flask_detector.detectors.mask_rcnn.layers import Layout, layers
from flask_detector.detectors.mask_rcnn.variants import Variant
from tests.support.weights import mask_rcnn_weights, write_safetensors

# Where a variant's parameters are listed.
PARAMETERS = {
    Variant.MMDET_CAFFE: "mmdet/mask_rcnn_r50_caffe_fpn",
    Variant.MMDET_PYTORCH: "mmdet/mask_rcnn_r50_fpn",
    Variant.TORCHVISION_V1: "torchvision/maskrcnn_resnet50_fpn",
    Variant.TORCHVISION_V1_EPS: "torchvision/maskrcnn_resnet50_fpn",
    Variant.TORCHVISION_V2: "torchvision/maskrcnn_resnet50_fpn_v2",
    Variant.DETECTRON2: "mmdet/mask_rcnn_r50_caffe_fpn",  # the same network, under other names
}


def write_as_detectron2(path: Path, arrays: Mapping[str, object]) -> None:
    """Write MMDetection's weights as Detectron2's model zoo has its own: a pickle of numpy's arrays."""
    names: dict[str, str] = {}
    for theirs, ours in zip(layers(Layout.DETECTRON2, 80), layers(Layout.MMDET, 80), strict=True):
        names |= dict(zip(theirs.tensors(), ours.tensors(), strict=True))
    model = {theirs: arrays[ours] for theirs, ours in names.items()}
    with path.open("wb") as file:
        pickle.dump({"model": model, "__author__": "Detectron2 Model Zoo"}, file)


@pytest.fixture(scope="session")
def converted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Variant], Path]:
    """A function that returns a folder of converted weights of a variant."""

    @cache
    def converted(variant: Variant) -> Path:
        folder = tmp_path_factory.mktemp(variant)
        write = write_as_detectron2 if variant is Variant.DETECTRON2 else write_safetensors
        checkpoint = folder / ("weights.pkl" if variant is Variant.DETECTRON2 else "weights.safetensors")
        write(checkpoint, mask_rcnn_weights(shared, PARAMETERS[variant]))
        convert(checkpoint, folder / "converted", variant=variant)
        checkpoint.unlink()
        return folder / "converted"

    return converted
