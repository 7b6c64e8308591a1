"""Full-size stand-ins for trained weights, made and converted once a session."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from flask_detector.detectors.convert import convert
from flask_detector.detectors.mask_rcnn.variants import Variant
from tests.support.weights import mask_rcnn_weights, write_as_detectron2, write_safetensors

# Where a variant's parameters are listed.
PARAMETERS = {
    Variant.MMDET_CAFFE: "mmdet/mask_rcnn_r50_caffe_fpn",
    Variant.MMDET_PYTORCH: "mmdet/mask_rcnn_r50_fpn",
    Variant.TORCHVISION_V1: "torchvision/maskrcnn_resnet50_fpn",
    Variant.TORCHVISION_V1_EPS: "torchvision/maskrcnn_resnet50_fpn",
    Variant.TORCHVISION_V2: "torchvision/maskrcnn_resnet50_fpn_v2",
    Variant.DETECTRON2: "mmdet/mask_rcnn_r50_caffe_fpn",  # the same network, under other names
}


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
