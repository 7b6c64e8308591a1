"""The layers of NanoDet-g, under the names that its authors' state dicts have, and the graph made of them.

The embedded graph is the only description of the served network: a model with other weights or classes is
that graph with other constants. Batch norms are folded into the convolutions, so each layer has a weight
(out, in, rows, columns) and a bias (out,).

Source of the names: RangiLyu/nanodet, config/legacy_v0.x_configs/nanodet-g.yml, nanodet/model/backbone/
custom_csp.py, fpn/pan.py and head/nanodet_head.py.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from flask_detector.detectors.openvino_runtime import Array, Graph, opset, read_graph
from flask_detector.structures.boxes import Floats

EMBEDDED_MODEL: Final = Path(__file__).parents[1] / "data" / "nanodet-g.xml"

# Of the last convolutions' channels: 11 distances to each of 4 sides; the others are the classes.
SIDE_CHANNELS: Final = 44
LEVELS: Final = 3


def _csp_block(stage: int, residuals: int) -> list[str]:
    pairs = [f"res_blocks.{n}.{conv}" for n in range(residuals) for conv in ("in_conv", "mid_conv")]
    return [f"backbone.stages.{stage}.{name}.conv" for name in ("in_conv", *pairs, "res_out_conv")]


# In the order in which the embedded graph numbers its weights.
LAYERS: Final = (
    "backbone.stages.0.conv",
    *(name for stage, residuals in ((2, 1), (3, 2), (4, 2), (5, 3)) for name in _csp_block(stage, residuals)),
    *(f"fpn.lateral_convs.{level}.conv" for level in range(LEVELS)),
    *(name for n in range(LEVELS) for name in (f"head.cls_convs.{n}.0.conv", f"head.gfl_cls.{n}")),
)


def embedded_weights() -> dict[str, Floats]:
    """Return the arrays of the embedded model, by layer with ".weight" and ".bias"."""
    return {name: constant.get_data().copy() for name, constant in _constants(read_graph(EMBEDDED_MODEL))}


def graph_of(weights: Mapping[str, Floats]) -> Graph:
    """Return the served graph with other weights; its number of classes is that of the last layers.

    The constants of weights and biases have their names.

    weights: as of `embedded_weights`.
    """
    graph = read_graph(EMBEDDED_MODEL)
    for name, constant in list(_constants(graph)):
        # The engine takes its own copy: the array may be part of a mapped file.
        _replace(constant, np.array(weights[name]), name)
    classes = class_count(weights)
    for op in graph.get_ops():
        if op.get_friendly_name() == "rows_shape":
            _replace(op, np.array([-1, classes + SIDE_CHANNELS]))
        elif op.get_friendly_name() == "split_sizes":
            _replace(op, np.array([classes, SIDE_CHANNELS]))
    graph.validate_nodes_and_infer_types()
    return graph


def class_count(weights: Mapping[str, Floats]) -> int:
    """Return how many classes a network of those weights tells apart."""
    return len(weights["head.gfl_cls.0.bias"]) - SIDE_CHANNELS


def _constants(graph: Graph) -> Iterator[tuple[str, Any]]:
    """Yield the names of weights and biases with the graph's nodes that hold them."""
    for op in graph.get_ordered_ops():
        if op.get_type_name() == "Convolution":
            weight = op.input_value(1).get_node()
            # The first is called ".../split", the others "…/split_1" and so on.
            layer = LAYERS[int(weight.get_friendly_name().rpartition("split")[2].strip("_") or 0)]
            yield f"{layer}.weight", weight
            readers = [point.get_node() for point in op.output(0).get_target_inputs()]
            (addition,) = (node for node in readers if node.get_type_name() == "Add")
            yield f"{layer}.bias", addition.input_value(1).get_node().input_value(0).get_node()


def _replace(constant: Any, array: Array, name: str = "") -> None:
    new = opset.constant(array)
    if name:
        new.set_friendly_name(name)
    for point in constant.output(0).get_target_inputs():
        point.replace_source_output(new.output(0))
