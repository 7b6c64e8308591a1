"""The kinds of Mask R-CNN R-50 FPN that exist, and the rules in which they differ.

The network is the one of He et al., "Mask R-CNN" (2017), with the feature pyramid of Lin et al. (2017).
MMDetection (version 2 and 3) and torchvision each have their own details of it; a checkpoint gives its
best results only under the rules that it was trained with.
"""

from dataclasses import dataclass
from enum import StrEnum


class Variant(StrEnum):
    """Whose network a checkpoint belongs to."""

    MMDET_CAFFE = "mmdet-caffe"
    MMDET_PYTORCH = "mmdet-pytorch"
    TORCHVISION_V1 = "torchvision-v1"
    TORCHVISION_V1_EPS = "torchvision-v1-eps"
    TORCHVISION_V2 = "torchvision-v2"


class Origin(StrEnum):
    """Whose rules before and after the network a variant follows."""

    MMDET = "mmdet"
    TORCHVISION = "torchvision"


@dataclass(frozen=True)
class Traits:
    """What sets a variant apart.

    title: the variant's name for people.
    bgr: the network takes the channels as blue, green, red; else red, green, blue.
    mean, std: of the channels in that order, for values in 0..pixel_range.
    stride_in_1x1: a stage's stride is in its first 1x1 convolution; else in its first 3x3.
    norm_epsilon: what batch norm adds to the variance.
    """

    title: str
    origin: Origin
    bgr: bool
    pixel_range: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stride_in_1x1: bool
    norm_epsilon: float

    @property
    def background_first(self) -> bool:
        """Whether the background is the first class of the box head, not the last."""
        return self.origin is Origin.TORCHVISION


_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def _torchvision(title: str, norm_epsilon: float) -> Traits:
    return Traits(title, Origin.TORCHVISION, False, 255.0, _IMAGENET_MEAN, _IMAGENET_STD, False, norm_epsilon)


# Sources: MMDetection 3.3.0, configs/_base_/models/mask-rcnn_r50-caffe_fpn.py and mask-rcnn_r50_fpn.py;
# torchvision 0.29.1, models/detection/mask_rcnn.py and transform.py. torchvision sets the epsilon of its
# published first version to 0, and leaves it in a model that is made without those weights.
TRAITS = {
    Variant.MMDET_CAFFE: Traits(
        "MMDetection's, caffe style",
        Origin.MMDET,
        True,
        1.0,
        (103.530, 116.280, 123.675),
        (1.0, 1.0, 1.0),
        True,
        1e-5,
    ),
    Variant.MMDET_PYTORCH: Traits(
        "MMDetection's, pytorch style",
        Origin.MMDET,
        False,
        1.0,
        (123.675, 116.28, 103.53),
        (58.395, 57.12, 57.375),
        False,
        1e-5,
    ),
    Variant.TORCHVISION_V1: _torchvision("torchvision's first version", 0.0),
    Variant.TORCHVISION_V1_EPS: _torchvision(
        "torchvision's first version made without its published weights", 1e-5
    ),
    Variant.TORCHVISION_V2: _torchvision("torchvision's second version", 1e-5),
}
