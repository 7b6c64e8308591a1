"""The layers of the network, and under which names and shapes a checkpoint keeps them.

Our own names are short and the same for every origin; they are the keys of the converted weights:

    stem, stage1.0.reduce, stage1.0.spatial, stage1.0.expand, stage1.0.skip, ...   ResNet-50
    lateral0..3, pyramid0..3                                                       feature pyramid
    rpn.conv0 (and 1), rpn.logits, rpn.deltas                                      proposals
    box.conv0..3 (second torchvision version only), box.fc0 (and 1), box.logits, box.deltas
    mask.conv0..3, mask.up, mask.logits
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

Shape = tuple[int, ...]

STAGE_BLOCKS = (3, 4, 6, 3)
CHANNELS = 256
BOX_CELLS = 7
MASK_CELLS = 14


class Layout(StrEnum):
    """The ways in which checkpoints name the layers."""

    MMDET = "MMDetection"
    TORCHVISION_V1 = "torchvision, first version"
    TORCHVISION_V2 = "torchvision, second version"


@dataclass(frozen=True)
class Layer:
    """A layer with weights: a convolution or a fully connected one.

    name: our name of it.
    source: the checkpoint's name of it, without ".weight".
    shape: of its weight in the checkpoint: (out, in) or (out, in, rows, columns); for the transposed
        convolution (in, out, rows, columns).
    norm: the checkpoint's name of the batch norm behind it, None without one.
    bias: whether it has a bias of its own.
    """

    name: str
    source: str
    shape: Shape
    norm: str | None = None
    bias: bool = True

    @property
    def outputs(self) -> int:
        """How many channels it has behind it."""
        return self.shape[1] if self.name == "mask.up" else self.shape[0]

    def tensors(self) -> dict[str, Shape]:
        """Return the names and shapes of what the checkpoint must have for it."""
        found = {f"{self.source}.weight": self.shape}
        if self.bias:
            found[f"{self.source}.bias"] = (self.outputs,)
        if self.norm is not None:
            for part in ("weight", "bias", "running_mean", "running_var"):
                found[f"{self.norm}.{part}"] = (self.outputs,)
        return found


def layers(layout: Layout, classes: int) -> list[Layer]:
    """Return all layers in the order in which a picture meets them.

    classes: without the background.
    """
    naming = _MMDET if layout is Layout.MMDET else _TORCHVISION
    second = layout is Layout.TORCHVISION_V2
    found = [*_resnet(naming["body"])]
    for level, inputs in enumerate((256, 512, 1024, 2048)):
        found.append(
            _pyramid(f"lateral{level}", naming["lateral"].format(level), (CHANNELS, inputs, 1, 1), second)
        )
    for level in range(4):
        found.append(
            _pyramid(f"pyramid{level}", naming["pyramid"].format(level), (CHANNELS, CHANNELS, 3, 3), second)
        )
    spatial = (CHANNELS, CHANNELS, 3, 3)
    found += [Layer(f"rpn.conv{i}", naming["rpn_conv"].format(i), spatial) for i in range(1 + second)]
    found.append(Layer("rpn.logits", naming["rpn_logits"], (3, CHANNELS, 1, 1)))
    found.append(Layer("rpn.deltas", naming["rpn_deltas"], (12, CHANNELS, 1, 1)))
    found += _box_head(naming, classes, second)
    for i in range(4):
        source = naming["mask_conv"].format(i)
        found.append(
            _normed(f"mask.conv{i}", source, spatial) if second else Layer(f"mask.conv{i}", source, spatial)
        )
    channels = classes if layout is Layout.MMDET else classes + 1
    found.append(Layer("mask.up", naming["mask_up"], (CHANNELS, CHANNELS, 2, 2)))
    found.append(Layer("mask.logits", naming["mask_logits"], (channels, CHANNELS, 1, 1)))
    return found


_MMDET = {
    "body": "backbone",
    "lateral": "neck.lateral_convs.{}.conv",
    "pyramid": "neck.fpn_convs.{}.conv",
    "rpn_conv": "rpn_head.rpn_conv",
    "rpn_logits": "rpn_head.rpn_cls",
    "rpn_deltas": "rpn_head.rpn_reg",
    "box_fc": "roi_head.bbox_head.shared_fcs.{}",
    "box_logits": "roi_head.bbox_head.fc_cls",
    "box_deltas": "roi_head.bbox_head.fc_reg",
    "mask_conv": "roi_head.mask_head.convs.{}.conv",
    "mask_up": "roi_head.mask_head.upsample",
    "mask_logits": "roi_head.mask_head.conv_logits",
}

_TORCHVISION = {
    "body": "backbone.body",
    "lateral": "backbone.fpn.inner_blocks.{}.0",
    "pyramid": "backbone.fpn.layer_blocks.{}.0",
    "rpn_conv": "rpn.head.conv.{}.0",
    "rpn_logits": "rpn.head.cls_logits",
    "rpn_deltas": "rpn.head.bbox_pred",
    "box_conv": "roi_heads.box_head.{}.0",
    "box_logits": "roi_heads.box_predictor.cls_score",
    "box_deltas": "roi_heads.box_predictor.bbox_pred",
    "mask_conv": "roi_heads.mask_head.{}.0",
    "mask_up": "roi_heads.mask_predictor.conv5_mask",
    "mask_logits": "roi_heads.mask_predictor.mask_fcn_logits",
}


def _resnet(body: str) -> Iterator[Layer]:
    yield Layer("stem", f"{body}.conv1", (64, 3, 7, 7), f"{body}.bn1", bias=False)
    inputs = 64
    for stage, blocks in enumerate(STAGE_BLOCKS, start=1):
        width = 32 * 2**stage
        for block in range(blocks):
            ours, theirs = f"stage{stage}.{block}", f"{body}.layer{stage}.{block}"
            shapes = {
                "reduce": (width, inputs, 1, 1),
                "spatial": (width, width, 3, 3),
                "expand": (4 * width, width, 1, 1),
            }
            for i, (name, shape) in enumerate(shapes.items(), start=1):
                yield Layer(f"{ours}.{name}", f"{theirs}.conv{i}", shape, f"{theirs}.bn{i}", bias=False)
            if block == 0:
                skip = f"{theirs}.downsample"
                yield Layer(f"{ours}.skip", f"{skip}.0", (4 * width, inputs, 1, 1), f"{skip}.1", bias=False)
            inputs = 4 * width


def _pyramid(name: str, source: str, shape: Shape, normed: bool) -> Layer:
    return _normed(name, source, shape) if normed else Layer(name, source, shape)


def _normed(name: str, source: str, shape: Shape) -> Layer:
    """Return a layer of torchvision's pairs: the convolution is the pair's 0, its norm the pair's 1."""
    return Layer(name, source, shape, f"{source[:-1]}1", bias=False)


def _box_head(naming: dict[str, str], classes: int, second: bool) -> list[Layer]:
    flat, hidden = CHANNELS * BOX_CELLS**2, 1024
    if second:
        spatial = (CHANNELS, CHANNELS, 3, 3)
        found = [_normed(f"box.conv{i}", naming["box_conv"].format(i), spatial) for i in range(4)]
        found.append(Layer("box.fc0", "roi_heads.box_head.5", (hidden, flat)))
    else:
        sources = [naming["box_fc"].format(i) for i in range(2)] if "box_fc" in naming else _TORCHVISION_FC
        found = [
            Layer("box.fc0", sources[0], (hidden, flat)),
            Layer("box.fc1", sources[1], (hidden, hidden)),
        ]
    deltas = 4 * classes if naming is _MMDET else 4 * (classes + 1)
    found.append(Layer("box.logits", naming["box_logits"], (classes + 1, hidden)))
    found.append(Layer("box.deltas", naming["box_deltas"], (deltas, hidden)))
    return found


_TORCHVISION_FC = ["roi_heads.box_head.fc6", "roi_heads.box_head.fc7"]
