"""Exported models as small as they can be: what they answer is given, whatever the picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]


def model_of(
    outputs: Mapping[str, Array],
    *,
    inputs: Mapping[str, Sequence[int | str]] | None = None,
    metadata: Mapping[str, str] | None = None,
    nodes: Sequence[Any] = (),
    kind: int = TensorProto.FLOAT,
) -> Any:
    """Return a model that answers with these arrays, as a ModelProto.

    inputs: name and shape of each; a text for a side that is open. nodes: further ones.
    """
    inputs = inputs or {"images": (1, 3, 64, 64)}
    picture = next(iter(inputs))
    graph_nodes = [helper.make_node("Cast", [picture], ["picture"], to=TensorProto.FLOAT)]
    graph_nodes += [helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0)]
    graph_nodes += [helper.make_node("Mul", ["mean", "zero"], ["nothing"])]
    weights = [numpy_helper.from_array(np.zeros((), np.float32), "zero")]
    infos = []
    for name, array in outputs.items():
        is_float = array.dtype.kind == "f"
        weights.append(numpy_helper.from_array(array, f"{name}_numbers"))
        of_type = "nothing" if array.dtype == np.float32 else f"{name}_nothing"
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        if of_type != "nothing":
            graph_nodes.append(helper.make_node("Cast", ["nothing"], [of_type], to=element))
        graph_nodes.append(helper.make_node("Add", [f"{name}_numbers", of_type], [name]))
        infos.append(helper.make_tensor_value_info(name, element, array.shape))
        assert is_float or array.dtype.kind == "i"
    given = [
        helper.make_tensor_value_info(name, kind if name == picture else TensorProto.INT64, shape)
        for name, shape in inputs.items()
    ]
    graph = helper.make_graph([*graph_nodes, *nodes], "model", given, infos, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    return model


def write_model(path: Path, outputs: Mapping[str, Array], **more: Any) -> Path:
    """Write what `model_of` returns."""
    onnx.save(model_of(outputs, **more), path)
    return path


def yolo_channels(
    boxes: Sequence[Sequence[float]], scores: Sequence[Sequence[float]], cells: int = 84
) -> Array:
    """Return what YOLO since v8 answers: boxes as centre and sides, and each one's score of each class."""
    found = np.zeros((1, 4 + len(scores[0]), cells), np.float32)
    for i, (box, of_classes) in enumerate(zip(boxes, scores, strict=True)):
        found[0, :, 3 * i] = [*box, *of_classes]
    return found


ULTRALYTICS = {
    "names": "{0: 'bolt', 1: 'nut'}",
    "stride": "32",
    "imgsz": "[64, 64]",
    "task": "detect",
    "license": "AGPL-3.0 License (https://ultralytics.com/license)",
}
