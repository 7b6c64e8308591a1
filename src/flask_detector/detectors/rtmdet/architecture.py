"""The layers of RTMDet and RTMDet-Ins, and under which names and shapes a checkpoint keeps them.

The five sizes differ by two factors alone, one for the number of channels and one for that of the blocks;
both are read off the checkpoint's shapes. RTMDet-Ins has a tower and a mask head more than RTMDet.
Source: Lyu et al., "RTMDet: An Empirical Study of Designing Real-Time Object Detectors", 2022,
arXiv:2212.07784; MMDetection 3.3.0, models/backbones/cspnext.py, necks/cspnext_pafpn.py and
dense_heads/rtmdet_head.py and rtmdet_ins_head.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flask_detector.detectors.checkpoint.batch_norm import Shape, tensors_of

SIDE = 640
STRIDES = (8, 16, 32)

# Of the mask head: its feature maps, and the numbers of three dynamic convolutions over these and two
# coordinates, 10 -> 8 -> 8 -> 1 channels.
PROTOTYPES = 8
DYNAMIC_CHANNELS = ((PROTOTYPES + 2, 8), (8, 8), (8, 1))
KERNEL_NUMBERS = sum(inputs * outputs + outputs for inputs, outputs in DYNAMIC_CHANNELS)

MASK_CONVS = 4
TOWER_CONVS = 2
NORM_EPSILON = 1e-5

# The variant, in converted weights, of an architecture that predicts logarithms, and that of the others.
LOGARITHMS, DISTANCES = "mmdet-exp", "mmdet"

_MOST_BLOCKS = 12

# MMDetection's own sizes of RTMDet from these channels of the head on predict logarithms of distances.
_LOGARITHMS_FROM = 192


@dataclass(frozen=True)
class Conv:
    """A convolution.

    name: the checkpoint's, without ".weight"; also ours.
    shape: of its weight, (out, in / groups, rows, columns).
    norm: the checkpoint's name of the batch norm behind it; None where it has a bias instead.
    """

    name: str
    shape: Shape
    norm: str | None = None

    def tensors(self) -> dict[str, Shape]:
        """Return the names and shapes of what the checkpoint must have for it."""
        return tensors_of(self.name, self.shape, self.norm, self.shape[0])


@dataclass(frozen=True)
class Architecture:
    """A size of RTMDet or RTMDet-Ins.

    channels: behind the stem and behind each of the four stages; the neck and the head have the second's.
    blocks: of the four stages of the backbone. neck_blocks: of each part of the neck.
    classes: how many there are.
    has_masks: whether it is RTMDet-Ins.
    predicts_logarithms: whether the box tower's numbers are logarithms of distances; of RTMDet alone.
    """

    channels: tuple[int, int, int, int, int]
    blocks: tuple[int, int, int, int]
    neck_blocks: int
    classes: int
    has_masks: bool
    predicts_logarithms: bool

    @property
    def head_channels(self) -> int:
        """The channels of the neck's outputs and of the head."""
        return self.channels[2]

    def convs(self) -> Iterator[Conv]:
        """Yield all convolutions."""
        stem, *stages = self.channels
        yield _normed("backbone.stem.0", stem // 2, 3, 3)
        yield _normed("backbone.stem.1", stem // 2, stem // 2, 3)
        yield _normed("backbone.stem.2", stem, stem // 2, 3)
        for number, (before, channels, blocks) in enumerate(
            zip(self.channels, stages, self.blocks, strict=False), start=1
        ):
            name = f"backbone.stage{number}"
            yield _normed(f"{name}.0", channels, before, 3)
            if number == len(stages):
                yield _normed(f"{name}.1.conv1", channels // 2, channels, 1)
                yield _normed(f"{name}.1.conv2", channels, channels // 2 * 4, 1)
            layer = f"{name}.{2 if number == len(stages) else 1}"
            yield from _csp_layer(layer, channels, channels, blocks)
            yield Conv(f"{layer}.attention.fc", (channels, channels, 1, 1))
        yield from self._neck()
        yield from self._head()

    def _neck(self) -> Iterator[Conv]:
        low, middle, high = self.channels[2:]
        yield _normed("neck.reduce_layers.0", middle, high, 1)
        yield _normed("neck.reduce_layers.1", low, middle, 1)
        yield from _csp_layer("neck.top_down_blocks.0", 2 * middle, middle, self.neck_blocks)
        yield from _csp_layer("neck.top_down_blocks.1", 2 * low, low, self.neck_blocks)
        yield _normed("neck.downsamples.0", low, low, 3)
        yield _normed("neck.downsamples.1", middle, middle, 3)
        yield from _csp_layer("neck.bottom_up_blocks.0", 2 * low, middle, self.neck_blocks)
        yield from _csp_layer("neck.bottom_up_blocks.1", 2 * middle, high, self.neck_blocks)
        for level, channels in enumerate((low, middle, high)):
            yield _normed(f"neck.out_convs.{level}", low, channels, 3)

    def _head(self) -> Iterator[Conv]:
        channels = self.head_channels
        outputs = {"cls": self.classes, "reg": 4} | ({"kernel": KERNEL_NUMBERS} if self.has_masks else {})
        for tower, numbers in outputs.items():
            for level in range(len(STRIDES)):
                for i in range(TOWER_CONVS):
                    yield _normed(f"bbox_head.{tower}_convs.{level}.{i}", channels, channels, 3)
                yield Conv(f"bbox_head.rtm_{tower}.{level}", (numbers, channels, 1, 1))
        if not self.has_masks:
            return
        mask = "bbox_head.mask_head"
        yield Conv(f"{mask}.fusion_conv", (channels, len(STRIDES) * channels, 1, 1))
        for i in range(MASK_CONVS):
            yield _normed(f"{mask}.stacked_convs.{i}", channels, channels, 3)
        yield Conv(f"{mask}.projection", (PROTOTYPES, channels, 1, 1))


def architecture_of(
    shapes: dict[str, Shape], *, predicts_logarithms: bool | None = None
) -> Architecture | None:
    """Return the size that tensors of these names and shapes are of; None where they are of another network.

    Only what tells the size is looked at; whether all the rest fits is the caller's to check.

    predicts_logarithms: what no shape tells; None for what MMDetection's configuration of that size says.
    """

    def outputs(name: str) -> int:
        return shapes[f"{name}.weight"][0]

    def blocks(layer: str) -> int:
        has_block = [f"{layer}.blocks.{i}.conv1.conv.weight" in shapes for i in range(_MOST_BLOCKS)]
        return has_block.index(False) if False in has_block else _MOST_BLOCKS

    try:
        stem, one, two, three, four = (
            outputs(f"backbone.{name}.conv")
            for name in ("stem.2", "stage1.0", "stage2.0", "stage3.0", "stage4.0")
        )
        has_masks = "bbox_head.rtm_kernel.0.weight" in shapes
        if predicts_logarithms is None:
            predicts_logarithms = two >= _LOGARITHMS_FROM
        return Architecture(
            (stem, one, two, three, four),
            (
                blocks("backbone.stage1.1"),
                blocks("backbone.stage2.1"),
                blocks("backbone.stage3.1"),
                blocks("backbone.stage4.2"),
            ),
            blocks("neck.top_down_blocks.0"),
            outputs("bbox_head.rtm_cls.0"),
            has_masks,
            predicts_logarithms and not has_masks,
        )
    except (KeyError, IndexError):
        return None


def owner_of(layer: str) -> tuple[str, str]:
    """Return which layer's convolution a layer of RTMDet-Ins has, and which one's batch norm.

    The box tower is the class tower; and the class tower's convolutions are the same on all strides, with a
    batch norm for each stride.
    """
    norm = layer.replace("bbox_head.reg_convs.", "bbox_head.cls_convs.")
    return re.sub(r"^(bbox_head\.cls_convs)\.\d\.", r"\1.0.", norm), norm


def _normed(module: str, outputs: int, inputs: int, side: int) -> Conv:
    return Conv(f"{module}.conv", (outputs, inputs, side, side), f"{module}.bn")


def _csp_layer(name: str, inputs: int, outputs: int, blocks: int) -> Iterator[Conv]:
    """Yield the convolutions of a cross-stage partial layer: two ways, one through the blocks, joined."""
    half = outputs // 2
    yield _normed(f"{name}.main_conv", half, inputs, 1)
    yield _normed(f"{name}.short_conv", half, inputs, 1)
    for i in range(blocks):
        block = f"{name}.blocks.{i}"
        yield _normed(f"{block}.conv1", half, half, 3)
        yield Conv(f"{block}.conv2.depthwise_conv.conv", (half, 1, 5, 5), f"{block}.conv2.depthwise_conv.bn")
        yield _normed(f"{block}.conv2.pointwise_conv", half, half, 1)
    yield _normed(f"{name}.final_conv", outputs, outputs, 1)
