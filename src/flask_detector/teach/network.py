"""A served graph as a network with gradients: each of its operations done by PyTorch.

The graph of the inference engine stays the only description of a network; what is trained is what is served.
Batch norms are folded into its convolutions, and so stay as they were trained.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flask_detector.detectors.checkpoint.batch_norm import scale_of
from flask_detector.detectors.openvino_runtime import Graph
from flask_detector.structures.boxes import Floats

_PICTURE: Final = 0


class _Step(NamedTuple):
    """What a value is computed of: the numbers of others, and of those that no later one needs."""

    run: Callable[..., Tensor]
    inputs: tuple[int, ...]
    last: tuple[int, ...]


class Network:
    """The trainable network.

    graph: the constants of its weights and biases have the names of `weights`.
    weights: by layer with ".weight" and ".bias".
    heads: the layers whose outputs are answered with.
    owner_of: for a layer, whose weight it has, up to a factor for each channel, and whose factors and bias.

    Two layers of the same weight, factors and bias that look at the same are computed once.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Mapping[str, Floats],
        heads: Sequence[str],
        *,
        owner_of: Callable[[str], tuple[str, str]] = lambda layer: (layer, layer),
        device: torch.device | str = "cpu",
    ) -> None:
        self._owner_of, self._device = owner_of, device
        self._layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
        self.parameters = {
            name: _leaf(array, device) for name, array in _parameters(weights, self._layers, owner_of).items()
        }
        self._steps, numbers = _Plan(graph, owner_of, self._convolved).of(heads)
        self._heads = [numbers[head] for head in heads]

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Return the maps (N, C, rows, columns) of the heads for pictures (N, H, W, 3) in 0..255, RGB."""
        values = {_PICTURE: pictures}
        for number, step in enumerate(self._steps, start=_PICTURE + 1):
            values[number] = step.run(*(values[n] for n in step.inputs))
            for n in step.last:
                del values[n]
        return [values[number] for number in self._heads]

    def weights_of(self, parameters: Mapping[str, Tensor]) -> dict[str, Floats]:
        """Return the weights by layer with ".weight" and ".bias" that are meant by such parameters."""
        found = {}
        with torch.no_grad():
            for layer in self._layers:
                weight, bias = self._weight_and_bias(layer, parameters)
                found[f"{layer}.weight"] = weight.cpu().contiguous().numpy().copy()
                found[f"{layer}.bias"] = bias.cpu().numpy().copy()
        return found

    def _weight_and_bias(self, layer: str, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        whose, factors = self._owner_of(layer)
        weight = parameters[f"{whose}.weight"]
        if whose != factors:
            weight = weight * parameters[f"{factors}.scale"].view(-1, 1, 1, 1)
        return weight, parameters[f"{factors}.bias"]

    def _convolved(self, x: Tensor, *, layer: str, stride: int, groups: int) -> Tensor:
        weight, bias = self._weight_and_bias(layer, self.parameters)
        return functional.conv2d(x, weight, bias, stride, weight.shape[2] // 2, groups=groups)


def _parameters(
    weights: Mapping[str, Floats], layers: Sequence[str], owner_of: Callable[[str], tuple[str, str]]
) -> dict[str, Floats]:
    """Return what is trained, in which shared weights are once."""
    found = {}
    for layer in layers:
        whose, factors = owner_of(layer)
        found[f"{whose}.weight"] = weights[f"{whose}.weight"]
        if whose != factors:
            found[f"{factors}.scale"] = scale_of(weights[f"{factors}.weight"], weights[f"{whose}.weight"])
        found[f"{factors}.bias"] = weights[f"{factors}.bias"]
    return found


def _leaf(array: Floats, device: torch.device | str) -> Tensor:
    tensor = torch.tensor(np.asarray(array), device=device)
    if tensor.ndim == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return tensor.requires_grad_()


class _Plan:
    """Puts a graph's operations in order, each once."""

    def __init__(
        self, graph: Graph, owner_of: Callable[[str], tuple[str, str]], convolved: Callable[..., Tensor]
    ) -> None:
        self._graph, self._owner_of, self._convolved = graph, owner_of, convolved
        self._numbers: dict[str, int] = {}
        self._known: dict[Any, int] = {}
        self._steps: list[tuple[Callable[..., Tensor], tuple[int, ...]]] = []

    def of(self, heads: Sequence[str]) -> tuple[list[_Step], dict[str, int]]:
        """Return the steps to the heads, and which values these are."""
        ends = {}
        for node in self._graph.get_ops():
            if node.get_type_name() == "Convolution":
                layer = node.input_value(1).get_node().get_friendly_name().removesuffix(".weight")
                if layer in heads:
                    readers = [point.get_node() for point in node.output(0).get_target_inputs()]
                    (addition,) = (one for one in readers if one.get_type_name() == "Add")
                    ends[layer] = self._number(addition)
        last = dict.fromkeys([*range(_PICTURE, len(self._steps) + 1)], 0)
        for number, (_, inputs) in enumerate(self._steps, start=_PICTURE + 1):
            last |= dict.fromkeys(inputs, number)
        last |= dict.fromkeys(ends.values(), 0)
        steps = [
            _Step(run, inputs, tuple({n for n in inputs if last[n] == number}))
            for number, (run, inputs) in enumerate(self._steps, start=_PICTURE + 1)
        ]
        return steps, ends

    def _number(self, node: Any) -> int:
        """Return the number of a node's value; the steps to it are there then."""
        name = node.get_name()
        if name not in self._numbers:
            self._numbers[name] = self._numbered(node)
        return self._numbers[name]

    def _numbered(self, node: Any) -> int:
        kind = node.get_type_name()
        if kind == "Parameter":
            return _PICTURE
        sources = [point.get_source_output().get_node() for point in node.inputs()]
        if kind == "Add" and "Convolution" in sources[0].get_type_name():
            return self._convolution(sources[0])
        constants = {n: one.get_data() for n, one in enumerate(sources) if one.get_type_name() == "Constant"}
        inputs = tuple(self._number(one) for n, one in enumerate(sources) if n not in constants)
        key = (kind, str(node.get_attributes()), *((n, one.tobytes()) for n, one in constants.items()))
        return self._step(key, lambda: _OPERATIONS[kind](node, constants), inputs)

    def _convolution(self, node: Any) -> int:
        layer = node.input_value(1).get_node().get_friendly_name().removesuffix(".weight")
        stride = node.get_attributes()["strides"][0]
        is_depthwise = node.get_type_name() == "GroupConvolution"
        groups = node.get_input_shape(1)[0] if is_depthwise else 1
        run = partial(self._convolved, layer=layer, stride=stride, groups=groups)
        inputs = (self._number(node.input_value(0).get_node()),)
        return self._step((self._owner_of(layer), stride), lambda: run, inputs)

    def _step(self, key: Any, run: Callable[[], Callable[..., Tensor]], inputs: tuple[int, ...]) -> int:
        if (key, inputs) not in self._known:
            self._steps.append((run(), inputs))
            self._known[key, inputs] = len(self._steps) + _PICTURE
        return self._known[key, inputs]


def _transpose(_: Any, constants: Mapping[int, Any]) -> Callable[..., Tensor]:
    order = constants[1].tolist()
    # To the convolutions: pixel by pixel is the order of memory in which they are fastest.
    return lambda x: x.permute(order)


def _gather(_: Any, constants: Mapping[int, Any]) -> Callable[..., Tensor]:
    indices, axis = torch.from_numpy(constants[1].copy()), int(constants[2])
    return lambda x: x.index_select(axis, indices.to(x.device))


def _with(operation: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Callable[..., Tensor]]:
    """Return the maker of an operation of two values, or of one and a constant."""

    def make(_: Any, constants: Mapping[int, Any]) -> Callable[..., Tensor]:
        if not constants:
            return operation
        constant = torch.from_numpy(constants[1].copy())
        return lambda x: operation(x, constant.to(x.device))

    return make


def _hard_sigmoid(_: Any, constants: Mapping[int, Any]) -> Callable[..., Tensor]:
    slope, middle = float(constants[1]), float(constants[2])
    return lambda x: (x * slope + middle).clamp(0, 1)


def _leaky(_: Any, constants: Mapping[int, Any]) -> Callable[..., Tensor]:
    slope = float(constants[1][0])
    return lambda x: functional.leaky_relu(x, slope)


def _pooled(node: Any, _: Mapping[int, Any]) -> Callable[..., Tensor]:
    said = node.get_attributes()
    return partial(
        functional.max_pool2d, kernel_size=said["kernel"], stride=said["strides"], padding=said["pads_begin"]
    )


def _resized(node: Any, constants: Mapping[int, Any]) -> Callable[..., Tensor]:
    factor = float(constants[1][-1])
    if node.get_attributes()["mode"] == "nearest":
        return partial(functional.interpolate, scale_factor=factor, mode="nearest")
    return partial(functional.interpolate, scale_factor=factor, mode="bilinear", align_corners=False)


# What the graphs are made of, but for convolutions and what follows the heads.
_OPERATIONS: Final[dict[str, Callable[[Any, Mapping[int, Any]], Callable[..., Tensor]]]] = {
    "Add": _with(torch.add),
    "Concat": lambda node, _: lambda *maps: torch.cat(maps, node.get_attributes()["axis"]),
    "Convert": lambda *_: lambda x: x if x.is_floating_point() else x.float(),
    "Divide": _with(torch.div),
    "Gather": _gather,
    "HardSigmoid": _hard_sigmoid,
    "Interpolate": _resized,
    "MaxPool": _pooled,
    "Multiply": _with(torch.mul),
    "PRelu": _leaky,
    "ReduceMean": lambda _, constants: lambda x: x.mean(constants[1].tolist(), keepdim=True),
    "Subtract": _with(torch.sub),
    "Swish": lambda *_: functional.silu,
    "Transpose": _transpose,
}
