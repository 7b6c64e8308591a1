"""A model for other programs: as ONNX, and its weights as its authors' own program reads them.

The ONNX has a form that many programs run; see `exported_graphs`.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from flask_detector.detectors import ModelStore
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.nanodet.layers import embedded_weights
from flask_detector.detectors.rtmdet import convert as rtmdet
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.detectors.zoo.registry import Embedded
from flask_detector.errors import ModelError
from flask_detector.teach.bases import Base, NanoDetBase, RTMDetBase
from flask_detector.teach.exported_graphs import ExportedGraph, MMDeploy, Yolo
from flask_detector.teach.lesson import DEFAULT_BASE

_OPSET: Final = 17
_NANODET: Final = "nanodet"


def export(name: str, store: ModelStore, folder: Path) -> list[Path]:
    """Write a model's ONNX and its weights into a folder; return the files.

    Of a pair the taught part alone is exported. Raises UnknownModel, ModelNotInstalled, OSError, and
    ModelError for a model of another kind.
    """
    options: Mapping[str, Any]
    labels: tuple[str, ...]
    info = store.info(name)
    if isinstance(info.source, Embedded):
        base: Base = NanoDetBase(name)
        weights, labels, options = embedded_weights(), COCO_LABELS, {}
    else:
        converted = WeightsFile.open(store.ready(name))
        if converted.architecture not in {_NANODET, rtmdet.MASKS}:
            raise ModelError(
                f"{name} can't be exported.",
                hint="NanoDet-g and RTMDet-Ins can, also what was taught from them.",
            )
        is_nanodet = converted.architecture == _NANODET
        base = NanoDetBase(name) if is_nanodet else RTMDetBase(name, store.ready(name))
        weights = {key: np.array(array) for key, array in converted.weights.items()}
        labels, options = converted.labels, converted.options
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.onnx", folder / f"{name}.safetensors"]
    graph = Yolo(base, weights) if isinstance(base, NanoDetBase) else MMDeploy(base, weights, options)
    _write_onnx(files[0], graph, labels)
    about = {key: options[key] for key in ("base", "replaces") if key in options}
    base.write_checkpoint(files[1], weights, labels, {"base": DEFAULT_BASE} | about)
    return files


def _write_onnx(path: Path, graph: ExportedGraph, labels: tuple[str, ...]) -> None:
    import onnx

    partial = path.with_name(f".{path.name}.part")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing: sizes are fixed on purpose
            torch.onnx.export(
                graph,
                (torch.zeros(1, 3, graph.side, graph.side),),
                partial,
                dynamo=False,
                input_names=[graph.input],
                output_names=list(graph.outputs),
                dynamic_axes=graph.open_axes,
                opset_version=_OPSET,
            )
        model = onnx.load(partial)
        facts = {"names": dict(enumerate(labels)), "imgsz": [graph.side, graph.side], **graph.facts}
        onnx.helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
        onnx.save(model, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
