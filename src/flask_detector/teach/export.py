"""A model for other programs: as ONNX, and its weights as its authors' own program reads them.

The ONNX has the form of a YOLO's since v8, which many programs run: a picture `images` (1, 3, S, S), RGB in
0..1, gives `output0` (1, 4 + classes, P), for each of P cells a box as centre, width and height in pixels,
and the score of each class. What overlaps is still to be suppressed. Masks are in the weights alone.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from flask_detector.detectors import ModelStore
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.nanodet.layers import embedded_weights
from flask_detector.detectors.rtmdet import convert as rtmdet
from flask_detector.detectors.rtmdet.architecture import owner_of
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.detectors.zoo.registry import Embedded
from flask_detector.errors import ModelError
from flask_detector.structures.boxes import Floats
from flask_detector.teach.bases import Base, NanoDetBase, RTMDetBase
from flask_detector.teach.lesson import DEFAULT_BASE
from flask_detector.teach.losses import Cells, decode
from flask_detector.teach.network import Network
from flask_detector.teach.pupil import RTMDET_HEADS
from flask_detector.teach.rtmdet_losses import Answers

_OPSET: Final = 17
_NANODET: Final = "nanodet"
_SIDES: Final[dict[type[Base], int]] = {NanoDetBase: 512, RTMDetBase: 640}


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
    _write_onnx(files[0], base, weights, labels)
    about = {key: options[key] for key in ("base", "replaces") if key in options}
    base.write_checkpoint(files[1], weights, labels, {"base": DEFAULT_BASE} | about)
    return files


def _write_onnx(path: Path, base: Base, weights: dict[str, Floats], labels: tuple[str, ...]) -> None:
    import onnx

    side = _SIDES[type(base)]
    partial = path.with_name(f".{path.name}.part")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing: sizes are fixed on purpose
            torch.onnx.export(
                _Exported(base, weights, side),
                (torch.zeros(1, 3, side, side),),
                partial,
                dynamo=False,
                input_names=["images"],
                output_names=["output0"],
                opset_version=_OPSET,
            )
        model = onnx.load(partial)
        facts: dict[str, Any] = {"names": dict(enumerate(labels)), "imgsz": [side, side], "task": "detect"}
        onnx.helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
        onnx.save(model, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _Exported(nn.Module):
    """A network with what makes boxes and scores of its answers."""

    def __init__(self, base: Base, weights: dict[str, Floats], side: int) -> None:
        super().__init__()
        self._is_nanodet = isinstance(base, NanoDetBase)
        heads = base.class_layers if self._is_nanodet else RTMDET_HEADS
        more = {} if self._is_nanodet else {"owner_of": owner_of}
        self._network = Network(base.graph(weights), weights, heads, **more)
        for parameter in self._network.parameters.values():
            parameter.requires_grad_(False)  # it becomes a constant
        self._classes = len(weights[f"{base.class_layers[0]}.bias"]) - base.others
        self._cells = Cells(side, side)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (1, 4 + classes, P) of pictures (1, 3, S, S)."""
        maps = self._network(pictures.permute(0, 2, 3, 1) * 255)
        if self._is_nanodet:
            rows = torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)[0]
            classes, sides = rows.split([self._classes, rows.shape[1] - self._classes], 1)
            logits = sides.reshape(sides.shape[0], 4, sides.shape[1] // 4)
            boxes = decode(logits, self._cells.centres, self._cells.strides)
        else:
            answers = Answers.of(maps)
            classes, boxes = answers.classes[0], answers.boxes[0]
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return torch.cat([centres, sizes, classes.sigmoid()], 1).T[None]
