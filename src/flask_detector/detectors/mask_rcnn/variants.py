"""The kinds of Mask R-CNN R-50 FPN that exist, and the rules in which they differ: a row of data each.

The network is the one of He et al., "Mask R-CNN" (2017), with the feature pyramid of Lin et al. (2017).
MMDetection (version 2 and 3), torchvision and Detectron2 each have their own details of it; a checkpoint
gives its best results only under the rules that it was trained with.
"""

from dataclasses import dataclass
from enum import StrEnum

from flask_detector.detectors.mask_rcnn.options import Options


class Variant(StrEnum):
    """Whose network a checkpoint belongs to."""

    MMDET_CAFFE = "mmdet-caffe"
    MMDET_PYTORCH = "mmdet-pytorch"
    TORCHVISION_V1 = "torchvision-v1"
    TORCHVISION_V1_EPS = "torchvision-v1-eps"
    TORCHVISION_V2 = "torchvision-v2"
    DETECTRON2 = "detectron2"


# Which two differ in the epsilon of their batch norms alone.
EPSILONS = (Variant.TORCHVISION_V1, Variant.TORCHVISION_V1_EPS)


class Origin(StrEnum):
    """Whose rules before and after the network a variant follows."""

    MMDET = "mmdet"
    TORCHVISION = "torchvision"
    DETECTRON2 = "detectron2"

    @property
    def rules(self) -> "Rules":
        """What this implementation does."""
        return _RULES[self]


class Resize(StrEnum):
    """Whose bilinear resize: OpenCV's or Pillow's of 8-bit pixels, or PyTorch's of normalised floats."""

    OPENCV = "opencv"
    TORCH = "torch"
    PILLOW = "pillow"


@dataclass(frozen=True)
class LevelRule:
    """Which pyramid level a box of side s gets: floor(base + log2(s / side + inside) + outside) - first.

    0 is P2. The epsilons settle ties. Source: Lin et al., "Feature Pyramid Networks" (2017), equation 1.
    """

    base: int
    side: int
    first: int
    inside: float = 0.0
    outside: float = 0.0


@dataclass(frozen=True)
class Rules:
    """What an implementation does before, between and after the parts of the network.

    background_first: the background is the first class of the box head, not the last.
    rounds_anchors: anchors' corners are whole pixels, and they are as far apart as the padded picture's side
        over the grid's, without the rest: on P6 that is not always the stride.
    limits_shrinking: dw and dh are limited both ways, not only upwards.
    min_proposal_side, min_box_side: in pixels; boxes under it are dropped. 0 drops those without area, None
        drops none.
    always_moves_apart: suppression is always one over boxes that are moved apart by class; else only up to
        1000 boxes, and with more class by class.
    aligned: boxes are moved by half a cell before RoIAlign; else they are at least one cell large.
    samples: of RoIAlign along a bin's axis; None for as many as the bin has cells, rounded up.
    pastes_whole_pixels: masks get a border of a cell, and boxes' corners are cut to whole pixels; else masks
        are sampled at the centres of the pixels.
    """

    resize: Resize
    background_first: bool
    rounds_anchors: bool
    limits_shrinking: bool
    level: LevelRule
    min_proposal_side: float
    min_box_side: float | None
    always_moves_apart: bool
    aligned: bool
    samples: int | None
    pastes_whole_pixels: bool


# Sources: MMDetection 3.3.0; torchvision 0.29.1, models/detection; Detectron2 at 02b5c4e,
# modeling/{anchor_generator,box_regression,poolers,postprocessing}.py, modeling/proposal_generator/
# proposal_utils.py, modeling/roi_heads/fast_rcnn.py, layers/{mask_ops,roi_align}.py,
# data/transforms/transform.py.
_RULES = {
    Origin.MMDET: Rules(
        resize=Resize.OPENCV,
        background_first=False,
        rounds_anchors=False,
        limits_shrinking=True,
        level=LevelRule(0, 56, 0, inside=1e-6),
        min_proposal_side=0.0,
        min_box_side=None,
        always_moves_apart=True,
        aligned=True,
        samples=None,
        pastes_whole_pixels=False,
    ),
    Origin.TORCHVISION: Rules(
        resize=Resize.TORCH,
        background_first=True,
        rounds_anchors=True,
        limits_shrinking=False,
        level=LevelRule(4, 224, 2, outside=1e-6),
        min_proposal_side=1e-3,
        min_box_side=1e-2,
        always_moves_apart=False,
        aligned=False,
        samples=2,
        pastes_whole_pixels=True,
    ),
    Origin.DETECTRON2: Rules(
        resize=Resize.PILLOW,
        background_first=False,
        rounds_anchors=False,
        limits_shrinking=False,
        level=LevelRule(4, 224, 2, inside=1e-8),
        min_proposal_side=0.0,
        min_box_side=None,
        always_moves_apart=False,
        aligned=True,
        samples=None,
        pastes_whole_pixels=False,
    ),
}


@dataclass(frozen=True)
class Traits:
    """What sets a variant apart.

    title: the variant's name for people.
    pixel_range: the network's input is normalised from values in 0..pixel_range.
    stride_in_1x1: a stage's stride is in its first 1x1 convolution; else in its first 3x3.
    norm_epsilon: what batch norm adds to the variance.
    options: what its users may set otherwise.
    """

    title: str
    origin: Origin
    pixel_range: float
    stride_in_1x1: bool
    norm_epsilon: float
    options: Options


_TORCHVISION = Options(bgr=False, image_mean=(0.485, 0.456, 0.406), image_std=(0.229, 0.224, 0.225))
_CAFFE = Options(bgr=True, image_mean=(103.530, 116.280, 123.675), image_std=(1.0, 1.0, 1.0))
_PYTORCH = Options(bgr=False, image_mean=(123.675, 116.28, 103.53), image_std=(58.395, 57.12, 57.375))

# Sources: MMDetection 3.3.0, configs/_base_/models/mask-rcnn_r50-caffe_fpn.py and mask-rcnn_r50_fpn.py;
# torchvision 0.29.1, models/detection/mask_rcnn.py and transform.py; Detectron2, config/defaults.py.
# torchvision sets the epsilon of its published first version to 0, and leaves it in a model that is made
# without those weights.
TRAITS = {
    Variant.MMDET_CAFFE: Traits("MMDetection's, caffe style", Origin.MMDET, 1.0, True, 1e-5, _CAFFE),
    Variant.MMDET_PYTORCH: Traits("MMDetection's, pytorch style", Origin.MMDET, 1.0, False, 1e-5, _PYTORCH),
    Variant.TORCHVISION_V1: Traits(
        "torchvision's first version, batch norms with epsilon 0 as in its published weights",
        Origin.TORCHVISION,
        255.0,
        False,
        0.0,
        _TORCHVISION,
    ),
    Variant.TORCHVISION_V1_EPS: Traits(
        "torchvision's first version, batch norms with epsilon 1e-5 as in models made without those weights",
        Origin.TORCHVISION,
        255.0,
        False,
        1e-5,
        _TORCHVISION,
    ),
    Variant.TORCHVISION_V2: Traits(
        "torchvision's second version", Origin.TORCHVISION, 255.0, False, 1e-5, _TORCHVISION
    ),
    Variant.DETECTRON2: Traits("Detectron2's", Origin.DETECTRON2, 1.0, True, 1e-5, _CAFFE),
}
