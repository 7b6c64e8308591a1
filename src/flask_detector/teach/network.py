"""NanoDet-g as a module of PyTorch: the embedded graph's layers, with gradients.

The names of its parameters are those of `detectors.nanodet.layers` and of the authors' own module.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from flask_detector.detectors.nanodet.layers import LEVELS, SIDE_CHANNELS, class_count
from flask_detector.structures.boxes import Floats

_MEAN, _DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_SLOPE = 0.1
_CHANNELS = 128


class _Conv(nn.Module):
    """A convolution that keeps the size, or halves it, with its activation."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, is_linear: bool = False
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self._is_linear = is_linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x if self._is_linear else functional.leaky_relu(x, _SLOPE)


class _Residual(nn.Module):
    """Half of the channels convolved once, half of them twice."""

    def __init__(self, channels: int):
        super().__init__()
        self.in_conv = _Conv(channels, channels // 2)
        self.mid_conv = _Conv(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_conv(x)
        return torch.cat([self.mid_conv(x), x], 1)


class _CspBlock(nn.Module):
    """A stage of the backbone: twice as many channels come out."""

    def __init__(self, channels: int, residuals: int, stride: int):
        super().__init__()
        self.in_conv = _Conv(channels, channels, stride=stride)
        self.res_blocks = nn.Sequential(*(_Residual(channels) for _ in range(residuals)))
        self.res_out_conv = _Conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_conv(x)
        return torch.cat([self.res_out_conv(self.res_blocks(x)), x], 1)


class _Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [
                _Conv(3, 32, stride=2),
                nn.MaxPool2d(3, 2, 1),
                _CspBlock(32, 1, 1),
                _CspBlock(64, 2, 2),
                _CspBlock(128, 2, 2),
                _CspBlock(256, 3, 2),
            ]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of strides 8, 16 and 32."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found[-LEVELS:]


class _PathAggregation(nn.Module):
    """Adds to each level the coarser ones and then the finer ones, resized."""

    def __init__(self) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(
            _Conv(inputs, _CHANNELS, 1, is_linear=True) for inputs in (128, 256, 512)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True)]
        for level in range(LEVELS - 1, 0, -1):
            maps[level - 1] = maps[level - 1] + _scaled(maps[level], 2)
        for level in range(LEVELS - 1):
            maps[level + 1] = maps[level + 1] + _scaled(maps[level], 0.5)
        return maps


class _Head(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.cls_convs = nn.ModuleList(nn.ModuleList([_Conv(_CHANNELS, _CHANNELS)]) for _ in range(LEVELS))
        self.gfl_cls = nn.ModuleList(nn.Conv2d(_CHANNELS, classes + SIDE_CHANNELS, 1) for _ in range(LEVELS))

    def forward(self, maps: list[Tensor]) -> Tensor:
        levels = []
        for (conv,), last, x in zip(self.cls_convs, self.gfl_cls, maps, strict=True):
            levels.append(last(conv(x)).flatten(2).transpose(1, 2))
        return torch.cat(levels, 1)


class Network(nn.Module):
    """The trainable network.

    classes: how many it tells apart.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.backbone, self.fpn, self.head = _Backbone(), _PathAggregation(), _Head(classes)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False)

    @classmethod
    def of(cls, weights: Mapping[str, Floats]) -> "Network":
        """Return the network of those weights, see `detectors.nanodet.layers.embedded_weights`."""
        network = cls(class_count(weights))
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        network.to(memory_format=torch.channels_last)
        return network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the classes (N, P, classes) and those of the sides (N, P, 44).

        pictures: (N, 3, H, W) in 0..255, RGB; H and W are multiples of 32. P: the cells of strides 8, 16, 32.
        """
        x = ((pictures - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        rows = self.head(self.fpn(self.backbone(x)))
        return rows[..., : self.classes], rows[..., self.classes :]


def _scaled(x: Tensor, factor: float) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
