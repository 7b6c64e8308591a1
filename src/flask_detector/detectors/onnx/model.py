"""An exported model as a detector."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.detectors.base import OnStage, StageClock, check_answers, checked_score, usable_cores
from flask_detector.detectors.onnx.decode import Candidates, Question
from flask_detector.detectors.onnx.families import BY_NAME
from flask_detector.detectors.onnx.fit import Fitted, fit
from flask_detector.detectors.onnx.masks import paste
from flask_detector.detectors.openvino_graphs import taking_pixels
from flask_detector.detectors.openvino_runtime import Precision, Session, read_graph
from flask_detector.detectors.weights_file import read_manifest
from flask_detector.errors import CheckpointError
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures import boxes as box_geometry
from flask_detector.structures.boxes import Floats
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

GRAPH = "graph.xml"

MOST = 300


class OnnxDetector:
    """A model that was exported by another program; see the Detector protocol.

    folder: as `convert` makes it.
    threads: of one detection; 0 for as many as there are cores to use.
    precision: in bfloat16 only where that is asked for: many of these networks compute with pixels' places,
        which have more digits than that.
    options: what is read otherwise than the folder says.

    Raises CheckpointError where the folder holds no such model.
    """

    # The programs resize the picture as it is, and so does this.
    max_side = None

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        threads: int = 0,
        precision: Precision = Precision.AUTO,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        manifest = read_manifest(folder)
        self.name = name
        self.labels = tuple(manifest["labels"])
        self.has_masks = bool(manifest["has_masks"])
        family = BY_NAME[manifest["variant"]]
        self.default_min_score = family.min_score
        self.asked = family.usual.changed(manifest["options"]).changed(options or {})
        self._decode = family.decode
        self._classes = np.array(manifest["classes"], np.int64)
        self._network_classes = int(manifest["network_classes"])
        self._is_open = bool(manifest["is_open"])
        try:
            graph = read_graph(folder / GRAPH)
        except RuntimeError as error:
            raise CheckpointError(
                f"The graph in {folder} can't be read.", hint="Add the model again."
            ) from error
        kind = np.float32 if self.asked.resample == "unrounded" else np.uint8
        network = taking_pixels(graph, kind, bgr=self.asked.bgr, mean=self.asked.mean, std=self.asked.std)
        self._session = Session(
            network,
            threads=threads or usable_cores(),
            precision=Precision.FLOAT32 if precision is Precision.AUTO else precision,
            is_openvino_int8=bool(manifest.get("is_openvino")),
        )
        self._one_at_a_time = threading.Lock()

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Return what is found in a picture (H, W, 3), RGB, uint8, or in pixels: at most 300 instances.

        The stages are prepare, network, select and, with masks, masks.

        min_score: the lowest score to keep, in 0..1; None for the family's default.

        Raises BadParameter when min_score is not in 0..1, and CheckpointError when the network's answers are
        no finite numbers.
        """
        least = checked_score(min_score, self.default_min_score)
        with self._one_at_a_time:
            return self._detect(Pixels.of(image), least, StageClock(on_stage))

    def rest(self) -> None:
        """Give back the memory of the network's intermediate results."""
        with self._one_at_a_time:
            self._session.release()

    def candidates(
        self, image: Picture | Pixels, min_score: float, clock: StageClock
    ) -> tuple[Fitted, Candidates]:
        """Return how a picture was fitted and what the network says of it, with boxes as they come."""
        pixels = Pixels.of(image)
        with clock.stage("prepare"):
            fitted = fit(pixels, self.asked, is_open=self._is_open)
            pixels.forget()
        with clock.stage("network"):
            try:
                outputs = self._session.run([fitted.pixels])
            except RuntimeError as error:
                height, width = fitted.pixels.shape[1:3]
                raise CheckpointError(
                    f"The model {self.name} can't compute with a picture of {height}x{width} pixels.",
                    hint="Export it with a fixed size, or add it with another option stride.",
                ) from error
            check_answers(self.name, *outputs)
        with clock.stage("select"):
            height, width = fitted.pixels.shape[1:3]
            question = Question(self.asked, self._network_classes, (height, width), min_score)
            return fitted, self._decode([_without_batch(output) for output in outputs], question)

    def _detect(self, pixels: Pixels, min_score: float, clock: StageClock) -> Detections:
        fitted, found = self.candidates(pixels, min_score, clock)
        with clock.stage("select"):
            boxes = self._boxes(found.boxes, fitted)
            classes = found.class_ids - self.asked.first_class
            is_object = (
                (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (classes >= 0) & (classes < len(self._classes))
            )
            places = np.flatnonzero(is_object)
            scores = np.clip(found.scores, 0, 1)
            if self.asked.iou < 1:
                kept = box_geometry.nms_per_class(
                    boxes[places], scores[places], classes[places], self.asked.iou, MOST
                )
            else:
                kept = np.argsort(-scores[places], kind="stable")[:MOST]
            places = places[kept]
            boxes = box_geometry.clip(
                fitted.to_picture(boxes[places]), width=fitted.width, height=fitted.height
            )
        masks: tuple[Mask, ...] | None = None
        if self.has_masks and found.masks is not None:
            with clock.stage("masks"):
                pasted = [
                    paste(found.masks, i, box, fitted) for i, box in zip(places.tolist(), boxes, strict=True)
                ]
                if not found.masks.may_be_empty:
                    seen = [i for i, mask in enumerate(pasted) if mask.area]
                    places, boxes, pasted = places[seen], boxes[seen], [pasted[i] for i in seen]
                masks = tuple(pasted)
        return Detections.from_unordered(
            boxes,
            scores[places],
            self._classes[classes[places]],
            masks=masks,
            width=fitted.width,
            height=fitted.height,
            labels=self.labels,
            model=self.name,
            timings=clock.timings,
        )

    def _boxes(self, boxes: Floats, fitted: Fitted) -> Floats:
        """Return boxes (N, 4) as xyxy in pixels of the network's input."""
        height, width = fitted.pixels.shape[1:3]
        found = np.array(boxes, np.float32).reshape(-1, 4)
        if self.asked.boxes == "yxyx":
            found = found[:, [1, 0, 3, 2]]
        elif self.asked.boxes != "xyxy":
            half = found[:, 2:] / 2
            found = np.concatenate([found[:, :2] - half, found[:, :2] + half], axis=1)
        if self.asked.normalised:
            found = found * np.array([width, height] * 2, np.float32)
        return found


def _without_batch(output: Floats) -> Floats:
    return output[0] if output.ndim > 2 and len(output) == 1 else output
