"""Networks in the forms in which other programs run exported models."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from flask_detector.detectors.onnx.interpretation import OPTIONS_KEY, written
from flask_detector.detectors.rtmdet.architecture import SIDE, STRIDES, owner_of
from flask_detector.detectors.rtmdet.build_graph import MEAN, STD
from flask_detector.detectors.rtmdet.postprocess import MASK_RULES
from flask_detector.detectors.rtmdet.preprocess import PADDING
from flask_detector.structures.boxes import Floats
from flask_detector.teach.bases import Base
from flask_detector.teach.losses import Cells, decode
from flask_detector.teach.network import Network
from flask_detector.teach.pupil import RTMDET_HEADS
from flask_detector.teach.rtmdet_losses import Answers, mask_logits

# Below this nothing is answered with. Source: MMDetection 3.3.0, test_cfg in configs/rtmdet/rtmdet_l_….py.
_LEAST_SCORE: Final = 0.05


class ExportedGraph(nn.Module):
    """A network with what makes its answers those of a form.

    side: of its pictures. input, outputs: their names. open_axes: of the outputs, by name.
    facts: what is said of it in the file.
    """

    side: ClassVar[int]
    input: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]
    open_axes: ClassVar[dict[str, dict[int, str]]] = {}
    facts: ClassVar[dict[str, Any]]

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network
        for parameter in network.parameters.values():
            parameter.requires_grad_(False)  # it becomes a constant

    @abstractmethod
    def forward(self, pictures: Tensor) -> Any:
        """Return the outputs for pictures (1, 3, side, side)."""


class Yolo(ExportedGraph):
    """NanoDet in the form of a YOLO since v8.

    A picture, RGB in 0..1, gives (1, 4 + classes, P), for each of P cells a box as centre, width and height
    in pixels, and the score of each class. What overlaps is still to be suppressed.
    """

    side, input, outputs = 512, "images", ("output0",)
    facts: ClassVar = {"task": "detect"}

    def __init__(self, base: Base, weights: dict[str, Floats]) -> None:
        super().__init__(Network(base.graph(weights), weights, base.class_layers))
        self._classes = len(weights[f"{base.class_layers[0]}.bias"]) - base.others
        self._cells = Cells(self.side, self.side)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (1, 4 + classes, P)."""
        maps = self._network(pictures.permute(0, 2, 3, 1) * 255)
        rows = torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)[0]
        classes, sides = rows.split([self._classes, rows.shape[1] - self._classes], 1)
        logits = sides.reshape(sides.shape[0], 4, sides.shape[1] // 4)
        boxes = decode(logits, self._cells.centres, self._cells.strides)
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return torch.cat([centres, sizes, classes.sigmoid()], 1).T[None]


class MMDeploy(ExportedGraph):
    """RTMDet-Ins in the form in which MMDeploy exports it.

    A picture, BGR, normalised, gives the N best objects, what overlaps suppressed: `dets` (1, N, 5), boxes,
    xyxy in pixels, and scores, `labels` (1, N), and `masks` (1, N, side, side), inside over 0.5.
    Source: MMDeploy 1.3.1, codebase/mmdet/models/dense_heads/rtmdet_ins_head.py.

    options: what the model was converted with, see `rtmdet.postprocess.Rules`.
    """

    side, input, outputs = SIDE, "input", ("dets", "labels", "masks")
    open_axes: ClassVar = {name: {1: "objects"} for name in outputs}
    facts: ClassVar = {
        "task": "segment",
        "stride": STRIDES[-1],
        OPTIONS_KEY: written({"bgr": True, "padding": PADDING, "mean": MEAN, "std": STD}),
    }

    def __init__(self, base: Base, weights: dict[str, Floats], options: Mapping[str, Any]) -> None:
        super().__init__(Network(base.graph(weights), weights, RTMDET_HEADS, owner_of=owner_of))
        self._iou = float(options.get("iou_threshold", MASK_RULES.iou_threshold))
        self._most = int(options.get("most", MASK_RULES.most))
        self._normal = torch.tensor([MEAN, STD])[..., None, None]

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes with scores, classes and masks."""
        mean, deviation = self._normal
        pixels = (pictures * deviation + mean).flip(1)
        answers = Answers.of(self._network(pixels.permute(0, 2, 3, 1)))
        boxes, scores = answers.boxes.clamp(0, self.side), answers.classes.sigmoid()
        chosen = _Suppression.apply(boxes, scores.transpose(1, 2), self._most, self._iou)
        best, order = scores[0, chosen[:, 2], chosen[:, 1]].sort(descending=True)
        best, chosen = best[: self._most], chosen[order[: self._most]]
        cells = chosen[:, 2]
        logits = mask_logits(
            answers.features[0], answers.kernels[0, cells], answers.points[cells], answers.strides[cells]
        )
        enlarged = functional.interpolate(
            logits[None], scale_factor=STRIDES[0], mode="bilinear", align_corners=False
        )
        return torch.cat([boxes[0, cells], best[:, None]], 1)[None], chosen[None, :, 1], enlarged.sigmoid()


class _Suppression(torch.autograd.Function):
    """ONNX's suppression within each class: of boxes (1, P, 4) and scores (1, classes, P), (N, 3) numbers.

    These are of the picture, the class and the cell.
    """

    @staticmethod
    def forward(_: Any, boxes: Tensor, scores: Tensor, most: int, iou: float) -> Tensor:
        # While it is traced, any answer will do.
        return torch.zeros(2, 3, dtype=torch.int64)

    @staticmethod
    def symbolic(graph: Any, boxes: Any, scores: Any, most: int, iou: float) -> Any:
        limits = (torch.tensor([most]), torch.tensor([iou]), torch.tensor([_LEAST_SCORE]))
        return graph.op(
            "NonMaxSuppression", boxes, scores, *(graph.op("Constant", value_t=one) for one in limits)
        )
