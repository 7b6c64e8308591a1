"""The table of models. A new model is one row."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Architecture = Literal["nanodet", "mask-rcnn", "rtmdet-ins", "rtmdet", "onnx"]

# The variant of a taught model together with the one that it was taught from.
PAIR = "pair"

# In place of a name: the best model that is there.
AUTO = "auto"

# The one to have: boxes and masks, accurate, and quick on any processor.
MAIN_MODEL = "rtmdet-ins-s"


@dataclass(frozen=True)
class Embedded:
    """A weights file that is part of the program."""

    file_name: str

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return Path(__file__).parents[1] / "data" / self.file_name

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Published:
    """A weights file that its authors publish.

    sha256: of the file, in lower case: all 64 digits, or the first 8 where only these are published (they end
    the file's name).
    size: in bytes. Where the publisher states none, the sum of the tensors, which is right to a tenth of a
    percent. Only shown, never checked.
    """

    url: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """The file's name, which mirrors keep."""
        return self.url.rsplit("/", 1)[1]


@dataclass(frozen=True)
class Added:
    """A weights file that the user brought, which was called `original_name`.

    file_name: where it is kept. Empty where only the converted weights are, as of all that are added now.
    """

    file_name: str
    original_name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without loading it.

    source: where the weights come from.
    variant: which of its architecture's relatives it is; None lets the checkpoint's own tensors decide.
    box_ap, mask_ap: average precision on COCO val2017 as its authors publish it, in percent; None if unknown
    or without masks.
    """

    name: str
    title: str
    what: str
    architecture: Architecture
    licence: str
    has_masks: bool
    source: Embedded | Published | Added
    variant: str | None = None
    box_ap: float | None = None
    mask_ap: float | None = None


# Figures and files: the model zoos of NanoDet, MMDetection 2 and torchvision.
_MMDETECTION = "https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/"
_TORCHVISION = "https://download.pytorch.org/models/"
_MMDETECTION_SIZE = 177_798_248
_RTMDET = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/"


def _rtmdet(
    size: str, what: str, file: str, length: int, box_ap: float, mask_ap: float | None = None
) -> ModelInfo:
    """Return the row of a size of RTMDet-Ins, or of RTMDet where there is no `mask_ap`.

    file: of the published file's name, the processors and the batch of the training, its date and the sha256.
    length: of the file, in bytes.
    """
    kind, title = ("rtmdet", "RTMDet") if mask_ap is None else ("rtmdet-ins", "RTMDet-Ins")
    batch, _, version = file.partition("_")
    config = f"{kind}_{size}_{batch}-300e_coco"
    return ModelInfo(
        name=f"{kind}-{size}",
        title=f"{title} {size}",
        what=f"{what} MMDetection.",
        architecture="rtmdet" if mask_ap is None else "rtmdet-ins",
        licence="Apache-2.0",
        has_masks=mask_ap is not None,
        box_ap=box_ap,
        mask_ap=mask_ap,
        source=Published(f"{_RTMDET}{config}/{config}_{version}.pth", version[-8:], length),
    )


_ROWS = (
    ModelInfo(
        name="nanodet-g",
        title="NanoDet-g",
        what="Small and fast, boxes only. Built in.",
        architecture="nanodet",
        licence="Apache-2.0",
        has_masks=False,
        box_ap=22.9,
        source=Embedded("nanodet-g.bin"),
    ),
    # Size, what, file, length, box AP, mask AP.
    _rtmdet("tiny", "Boxes and masks, fast.", "8xb32_20221130_151727-ec670f7e", 22_637_000, 40.5, 35.4),
    _rtmdet(
        "s",
        "The recommended model: boxes and masks, accurate and fast.",
        "8xb32_20221121_212604-fdc5d7ec",
        40_850_000,
        44.0,
        38.7,
    ),
    _rtmdet("m", "Boxes and masks.", "8xb32_20221123_001039-6eba602e", 110_520_000, 48.8, 42.1),
    _rtmdet("l", "Boxes and masks.", "8xb32_20221124_103237-78d1d652", 229_820_000, 51.2, 43.7),
    _rtmdet(
        "x",
        "Boxes and masks, the most accurate model.",
        "8xb16_20221124_111313-33d4595b",
        411_330_000,
        52.4,
        44.6,
    ),
    _rtmdet("tiny", "Boxes, quick.", "8xb32_20220902_112414-78e30dcc", 19_830_000, 40.9),
    _rtmdet("s", "Boxes, accurate and fast.", "8xb32_20220905_161602-387a891e", 35_830_000, 44.5),
    _rtmdet("m", "Boxes.", "8xb32_20220719_112220-229f527c", 99_290_000, 49.1),
    _rtmdet("l", "Boxes.", "8xb32_20220719_112030-5a0be7c4", 209_910_000, 51.3),
    _rtmdet("x", "Boxes, the most accurate of these.", "8xb32_20220715_230555-cc79b9ae", 380_290_000, 52.6),
    ModelInfo(
        name="mask-rcnn-r50-fpn",
        title="Mask R-CNN R-50 FPN",
        what="Boxes and masks, slower. MMDetection, caffe style, trained three times as long.",
        architecture="mask-rcnn",
        variant="mmdet-caffe",
        licence="Apache-2.0",
        has_masks=True,
        box_ap=40.8,
        mask_ap=37.0,
        source=Published(
            url=_MMDETECTION + "mask_rcnn_r50_caffe_fpn_mstrain-poly_3x_coco/mask_rcnn_r50_caffe_fpn_mstrain-"
            "poly_3x_coco_bbox_mAP-0.408__segm_mAP-0.37_20200504_163245-42aa3d00.pth",
            sha256="42aa3d00",
            size=_MMDETECTION_SIZE,
        ),
    ),
    ModelInfo(
        name="mask-rcnn-r50-fpn-1x",
        title="Mask R-CNN R-50 FPN 1x",
        what="MMDetection, pytorch style, the shortest training.",
        architecture="mask-rcnn",
        variant="mmdet-pytorch",
        licence="Apache-2.0",
        has_masks=True,
        box_ap=38.2,
        mask_ap=34.7,
        source=Published(
            url=_MMDETECTION + "mask_rcnn_r50_fpn_1x_coco/mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth",
            sha256="d4b0c5d6",
            size=_MMDETECTION_SIZE,
        ),
    ),
    ModelInfo(
        name="mask-rcnn-r50-fpn-3x",
        title="Mask R-CNN R-50 FPN 3x",
        what="MMDetection, pytorch style, trained three times as long.",
        architecture="mask-rcnn",
        variant="mmdet-pytorch",
        licence="Apache-2.0",
        has_masks=True,
        box_ap=40.9,
        mask_ap=37.1,
        source=Published(
            url=_MMDETECTION + "mask_rcnn_r50_fpn_mstrain-poly_3x_coco/"
            "mask_rcnn_r50_fpn_mstrain-poly_3x_coco_20210524_201154-21b550bb.pth",
            sha256="21b550bb",
            size=_MMDETECTION_SIZE,
        ),
    ),
    ModelInfo(
        name="mask-rcnn-r50-fpn-tv",
        title="Mask R-CNN R-50 FPN, torchvision v1",
        what="torchvision's first weights.",
        architecture="mask-rcnn",
        variant="torchvision-v1",
        licence="BSD-3-Clause",
        has_masks=True,
        box_ap=37.9,
        mask_ap=34.6,
        source=Published(
            url=_TORCHVISION + "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
            sha256="bf2d0c1efbc936eeee2bc95a48e80ebc86b891f61b0106485937fc29f9315fc0",
            size=178_090_079,
        ),
    ),
    ModelInfo(
        name="mask-rcnn-r50-fpn-tv2",
        title="Mask R-CNN R-50 FPN, torchvision v2",
        what="torchvision's second weights: larger heads, more accurate and slower.",
        architecture="mask-rcnn",
        variant="torchvision-v2",
        licence="BSD-3-Clause",
        has_masks=True,
        box_ap=47.4,
        mask_ap=41.8,
        source=Published(
            url=_TORCHVISION + "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
            sha256="73cbd0190fcbe3ba339921fbce2c3a0b6bb9126c9a133c85e43a2a8e060a109e",
            size=185_828_065,
        ),
    ),
)

MODELS: dict[str, ModelInfo] = {row.name: row for row in _ROWS}
