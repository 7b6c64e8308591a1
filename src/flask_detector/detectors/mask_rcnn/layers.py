"""The layers of the network, and under which names and shapes a checkpoint keeps them.

Our own names are short and the same for every origin; they are the keys of the converted weights:

    stem, stage1.0.reduce, stage1.0.spatial, stage1.0.expand, stage1.0.skip, ...   ResNet-50
    lateral0..3, pyramid0..3                                                       feature pyramid
    rpn.conv0 (and 1), rpn.logits, rpn.deltas                                      proposals
    box.conv0..3 (second torchvision version only), box.fc0 (and 1), box.logits, box.deltas
    mask.conv0..3, mask.up, mask.logits
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from flask_detector.detectors.checkpoint.batch_norm import Shape, tensors_of

STAGE_BLOCKS = (3, 4, 6, 3)
CHANNELS = 256
BOX_CELLS = 7
MASK_CELLS = 14


class Layout(StrEnum):
    """The ways in which checkpoints name the layers."""

    MMDET = "MMDetection"
    TORCHVISION_V1 = "torchvision, first version"
    TORCHVISION_V2 = "torchvision, second version"
    DETECTRON2 = "Detectron2"

    @property
    def background_first(self) -> bool:
        """Whether the background is the box head's first class, and has boxes and masks as well."""
        return self in {Layout.TORCHVISION_V1, Layout.TORCHVISION_V2}


@dataclass(frozen=True)
class Layer:
    """A layer with weights: a convolution or a fully connected one.

    name: our name of it.
    source: the checkpoint's name of it, without ".weight".
    shape: of its weight in the checkpoint: (out, in) or (out, in, rows, columns); for the transposed
        convolution (in, out, rows, columns).
    norm: the checkpoint's name of the batch norm behind it; None where it has a bias instead.
    """

    name: str
    source: str
    shape: Shape
    norm: str | None = None

    @property
    def outputs(self) -> int:
        """How many channels it has behind it."""
        return self.shape[1] if self.name == "mask.up" else self.shape[0]

    def tensors(self) -> dict[str, Shape]:
        """Return the names and shapes of what the checkpoint must have for it."""
        return tensors_of(self.source, self.shape, self.norm, self.outputs)


def layers(layout: Layout, classes: int) -> list[Layer]:
    """Return all layers in the order in which a picture meets them.

    classes: without the background.
    """
    naming = _NAMING[layout]
    second = layout is Layout.TORCHVISION_V2
    found = [*_resnet(naming)]
    for level, inputs in enumerate((256, 512, 1024, 2048)):
        source = naming.lateral.format(level, level + 2)
        found.append(_conv(f"lateral{level}", source, (CHANNELS, inputs, 1, 1), second))
    for level in range(4):
        source = naming.pyramid.format(level, level + 2)
        found.append(_conv(f"pyramid{level}", source, (CHANNELS, CHANNELS, 3, 3), second))
    spatial = (CHANNELS, CHANNELS, 3, 3)
    found += [Layer(f"rpn.conv{i}", naming.rpn_conv.format(i), spatial) for i in range(1 + second)]
    found.append(Layer("rpn.logits", naming.rpn_logits, (3, CHANNELS, 1, 1)))
    found.append(Layer("rpn.deltas", naming.rpn_deltas, (12, CHANNELS, 1, 1)))
    others = classes + layout.background_first
    found += _box_head(naming, classes, others)
    for i in range(4):
        source = naming.mask_conv.format(i, i + 1)
        found.append(_conv(f"mask.conv{i}", source, spatial, second))
    found.append(Layer("mask.up", naming.mask_up, (CHANNELS, CHANNELS, 2, 2)))
    found.append(Layer("mask.logits", naming.mask_logits, (others, CHANNELS, 1, 1)))
    return found


def marks() -> list[str]:
    """Return the names of the last layers' weights in all layouts, which no other network has together."""
    return [
        f"{source}.weight"
        for naming in _NAMING.values()
        for source in (naming.rpn_logits, naming.box_logits, naming.mask_logits)
    ]


@dataclass(frozen=True)
class _Naming:
    """The checkpoint's names, into which numbers are put.

    stem, block, skip: a convolution and the batch norm behind it; {0} is the stage from 1 on, {1} the block,
        {2} the number in the block, {3} the stage as Detectron2 counts it, from 2 on.
    lateral, pyramid: {0} is the level from 0 on, {1} from 2 on. rpn_conv, mask_conv: {0} counts from 0, {1}
        from 1.
    """

    stem: tuple[str, str]
    block: tuple[str, str]
    skip: tuple[str, str]
    lateral: str
    pyramid: str
    rpn_conv: str
    rpn_logits: str
    rpn_deltas: str
    box_convs: tuple[str, ...]
    box_fcs: tuple[str, ...]
    box_logits: str
    box_deltas: str
    mask_conv: str
    mask_up: str
    mask_logits: str


_MMDET = _Naming(
    stem=("backbone.conv1", "backbone.bn1"),
    block=("backbone.layer{0}.{1}.conv{2}", "backbone.layer{0}.{1}.bn{2}"),
    skip=("backbone.layer{0}.{1}.downsample.0", "backbone.layer{0}.{1}.downsample.1"),
    lateral="neck.lateral_convs.{0}.conv",
    pyramid="neck.fpn_convs.{0}.conv",
    rpn_conv="rpn_head.rpn_conv",
    rpn_logits="rpn_head.rpn_cls",
    rpn_deltas="rpn_head.rpn_reg",
    box_convs=(),
    box_fcs=("roi_head.bbox_head.shared_fcs.0", "roi_head.bbox_head.shared_fcs.1"),
    box_logits="roi_head.bbox_head.fc_cls",
    box_deltas="roi_head.bbox_head.fc_reg",
    mask_conv="roi_head.mask_head.convs.{0}.conv",
    mask_up="roi_head.mask_head.upsample",
    mask_logits="roi_head.mask_head.conv_logits",
)
_TORCHVISION = _Naming(
    stem=("backbone.body.conv1", "backbone.body.bn1"),
    block=("backbone.body.layer{0}.{1}.conv{2}", "backbone.body.layer{0}.{1}.bn{2}"),
    skip=("backbone.body.layer{0}.{1}.downsample.0", "backbone.body.layer{0}.{1}.downsample.1"),
    lateral="backbone.fpn.inner_blocks.{0}.0",
    pyramid="backbone.fpn.layer_blocks.{0}.0",
    rpn_conv="rpn.head.conv.{0}.0",
    rpn_logits="rpn.head.cls_logits",
    rpn_deltas="rpn.head.bbox_pred",
    box_convs=(),
    box_fcs=("roi_heads.box_head.fc6", "roi_heads.box_head.fc7"),
    box_logits="roi_heads.box_predictor.cls_score",
    box_deltas="roi_heads.box_predictor.bbox_pred",
    mask_conv="roi_heads.mask_head.{0}.0",
    mask_up="roi_heads.mask_predictor.conv5_mask",
    mask_logits="roi_heads.mask_predictor.mask_fcn_logits",
)
_DETECTRON2 = _Naming(
    stem=("backbone.bottom_up.stem.conv1", "backbone.bottom_up.stem.conv1.norm"),
    block=("backbone.bottom_up.res{3}.{1}.conv{2}", "backbone.bottom_up.res{3}.{1}.conv{2}.norm"),
    skip=("backbone.bottom_up.res{3}.{1}.shortcut", "backbone.bottom_up.res{3}.{1}.shortcut.norm"),
    lateral="backbone.fpn_lateral{1}",
    pyramid="backbone.fpn_output{1}",
    rpn_conv="proposal_generator.rpn_head.conv",
    rpn_logits="proposal_generator.rpn_head.objectness_logits",
    rpn_deltas="proposal_generator.rpn_head.anchor_deltas",
    box_convs=(),
    box_fcs=("roi_heads.box_head.fc1", "roi_heads.box_head.fc2"),
    box_logits="roi_heads.box_predictor.cls_score",
    box_deltas="roi_heads.box_predictor.bbox_pred",
    mask_conv="roi_heads.mask_head.mask_fcn{1}",
    mask_up="roi_heads.mask_head.deconv",
    mask_logits="roi_heads.mask_head.predictor",
)
_NAMING = {
    Layout.MMDET: _MMDET,
    Layout.TORCHVISION_V1: _TORCHVISION,
    Layout.TORCHVISION_V2: replace(
        _TORCHVISION,
        box_convs=tuple(f"roi_heads.box_head.{i}.0" for i in range(4)),
        box_fcs=("roi_heads.box_head.5",),
    ),
    Layout.DETECTRON2: _DETECTRON2,
}


def _resnet(naming: _Naming) -> Iterator[Layer]:
    def layer(name: str, sources: tuple[str, str], shape: Shape, *numbers: int) -> Layer:
        conv, norm = (source.format(*numbers) for source in sources)
        return Layer(name, conv, shape, norm)

    yield layer("stem", naming.stem, (64, 3, 7, 7))
    inputs = 64
    for stage, blocks in enumerate(STAGE_BLOCKS, start=1):
        width = 32 * 2**stage
        for block in range(blocks):
            ours = f"stage{stage}.{block}"
            shapes = {
                "reduce": (width, inputs, 1, 1),
                "spatial": (width, width, 3, 3),
                "expand": (4 * width, width, 1, 1),
            }
            for i, (name, shape) in enumerate(shapes.items(), start=1):
                yield layer(f"{ours}.{name}", naming.block, shape, stage, block, i, stage + 1)
            if block == 0:
                shape = (4 * width, inputs, 1, 1)
                yield layer(f"{ours}.skip", naming.skip, shape, stage, block, 0, stage + 1)
            inputs = 4 * width


def _conv(name: str, source: str, shape: Shape, normed: bool) -> Layer:
    """Return a convolution; of torchvision's pairs with a norm it is the pair's 0, and the norm the 1."""
    return Layer(name, source, shape, f"{source[:-1]}1" if normed else None)


def _box_head(naming: _Naming, classes: int, others: int) -> Iterator[Layer]:
    hidden = 1024
    for i, source in enumerate(naming.box_convs):
        yield _conv(f"box.conv{i}", source, (CHANNELS, CHANNELS, 3, 3), True)
    inputs = CHANNELS * BOX_CELLS**2
    for i, source in enumerate(naming.box_fcs):
        yield Layer(f"box.fc{i}", source, (hidden, inputs))
        inputs = hidden
    yield Layer("box.logits", naming.box_logits, (classes + 1, hidden))
    yield Layer("box.deltas", naming.box_deltas, (4 * others, hidden))
