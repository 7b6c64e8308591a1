"""From an exported file to a folder that a detector is made of: recognised, tried on a picture, written.

This runs in the process of `isolated.py` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.detectors.base import StageClock
from flask_detector.detectors.checkpoint.class_names import ClassNames, class_names
from flask_detector.detectors.example_picture import example_picture
from flask_detector.detectors.onnx.description import read_description
from flask_detector.detectors.onnx.exported import Exported
from flask_detector.detectors.onnx.families import BY_NAME, FAMILIES, Family
from flask_detector.detectors.onnx.interpretation import OPTIONS_KEY, Interpretation, read_options, written
from flask_detector.detectors.onnx.model import GRAPH, OnnxDetector
from flask_detector.detectors.onnx.recognise import Match
from flask_detector.detectors.openvino_graphs import chosen
from flask_detector.detectors.openvino_runtime import Precision, save_graph
from flask_detector.detectors.reading import Reading
from flask_detector.detectors.weights_file import write_manifest
from flask_detector.errors import BadParameter, ForeignCheckpoint
from flask_detector.structures.labels import problem_of

_TASKS = {"", "detect", "segment"}
_STRIDES = {"8", "16", "32", "64", "128"}

# Places over this are pixels, not parts of a side or strides.
_LARGEST_PART = 2.0


def convert(
    file: Path, folder: Path, *, variant: str | None, labels: Sequence[str], options: Mapping[str, Any]
) -> Reading:
    """Fill the folder; return what the file was recognised as.

    variant: the name of the family, where the file is to be read as one; None to recognise it.
    labels: what its classes are called. options: see `Interpretation`. What is not given may be in a
        description beside the file.

    Raises CheckpointError, and BadParameter for a family, labels or options that do not fit.
    """
    described = read_description(file)
    variant, labels, options = (
        variant or described.family,
        labels or described.labels,
        {**described.options, **options},
    )
    if variant is not None and variant not in BY_NAME:
        raise BadParameter(f"There is no family '{variant}'.", hint=f"Available: {', '.join(BY_NAME)}.")
    exported = Exported.read(file, options)
    families = FAMILIES if variant is None else (BY_NAME[variant],)
    for family in families:
        if (match := family.find(exported.signature)) is not None:
            return _Conversion(exported, family, match).write(folder, labels, options)
    raise ForeignCheckpoint(
        f"The model's inputs and outputs are those of no family known here: {exported.described()}.",
        hint="Export it with another option, or name a family with --variant: docs/onnx.md lists them.",
    )


@dataclass(frozen=True)
class _Conversion:
    exported: Exported
    family: Family
    match: Match

    def write(self, folder: Path, labels: Sequence[str], options: Mapping[str, Any]) -> Reading:
        """Write the graph and its description; return what they are of."""
        signature = self.exported.signature
        task = str(signature.metadata.get("task") or "")
        if task not in _TASKS:
            raise ForeignCheckpoint(
                f"The model is for the task '{task[:40]}'.",
                hint="Detection and segmentation are served here.",
            )
        asked, notes = self._interpretation(options)
        names = self._names(asked, labels)
        is_open = signature.is_open and asked.resize in {"letterbox", "yolov5", "shortest", "whole"}
        self._write_graph(folder, asked, is_open=is_open)
        reading = Reading(
            architecture="onnx",
            variant=self.family.name,
            title=self.family.title,
            labels=names.labels,
            options=asked.differences(self.family.usual),
            notes=(names.note, *notes),
            has_masks=bool(self.match.masks),
            licence=_licence(signature.metadata),
        )
        self._write_manifest(folder, reading, names, is_open)
        settled, notes = _settled(folder, asked, self.family, options)
        reading = replace(
            reading,
            options=settled.differences(self.family.usual),
            notes=(*reading.notes, *notes, *(_doubts(self.family, settled) if self._is_in_doubt else [])),
        )
        self._write_manifest(folder, reading, names, is_open)
        return reading

    @property
    def _is_in_doubt(self) -> bool:
        # Ultralytics and whoever exports as it does write the largest stride, and prepare pictures all alike.
        return bool(self.family.doubts) and "stride" not in self.exported.signature.metadata

    def _interpretation(self, options: Mapping[str, Any]) -> tuple[Interpretation, list[str]]:
        signature, notes = self.exported.signature, []
        asked = replace(self.family.usual, size=signature.size).changed(self.match.options)
        if (stride := str(signature.metadata.get("stride"))) in _STRIDES:
            asked = replace(asked, stride=int(stride))
        asked = asked.changed(read_options(signature.metadata.get(OPTIONS_KEY)))
        if not signature.is_open and asked.resize in {"whole", "shortest"} and "resize" not in options:
            asked = replace(asked, resize="corner", padding=0)
            notes.append("The network takes pictures of one size alone: they are resized to fit and padded.")
        asked = asked.changed(options)
        if not signature.is_open and asked.resize in {"whole", "shortest"}:
            raise BadParameter(
                f"The option resize can't be '{asked.resize}': the model takes pictures of one size alone.",
                hint="Use letterbox, corner or stretch.",
            )
        return asked, notes

    def _names(self, asked: Interpretation, labels: Sequence[str]) -> ClassNames:
        """Return the names of the classes, and how many there are where only these tell."""
        signature = self.exported.signature
        names = signature.said("names")
        meta: dict[str, Any] = {"names": names} if names else {}
        if not names and isinstance(said := signature.metadata.get("labels"), str):
            meta = {"names": [word.replace("_", " ") for word in said.split()]}
        # Of COCO's ids, 0 to 90, the first is no class.
        classes = self.match.classes - (asked.first_class if self.match.classes == 91 else 0)
        if not self.match.classes:
            count = len(labels) or len(meta.get("names", ()))
            classes = count or (90 if asked.first_class else 80)
        return class_names(meta, classes, given=labels, background_first=bool(asked.first_class))

    def _write_graph(self, folder: Path, asked: Interpretation, *, is_open: bool) -> None:
        signature = self.exported.signature
        graph = self.exported.of_size((None, None) if is_open else asked.size)
        constants: dict[int, np.ndarray[Any, Any] | None] = {}
        for index, port in enumerate(signature.inputs):
            if index == signature.picture:
                continue
            if "orig_target_sizes" in port.names:
                constants[index] = np.array([[asked.size[1], asked.size[0]]])
            elif "pixel_mask" in port.names:
                constants[index] = None
            else:
                raise ForeignCheckpoint(
                    f"The model has an input '{min(port.names, default='')[:40]}' that is not known here.",
                    hint="Export it with the picture as its one input.",
                )
        outputs = (*self.match.outputs, *self.match.masks)
        save_graph(chosen(graph, signature.picture, constants, outputs), folder / GRAPH)

    def _write_manifest(self, folder: Path, reading: Reading, names: ClassNames, is_open: bool) -> None:
        write_manifest(
            folder,
            reading,
            names.classes,
            network_classes=self.match.classes,
            is_open=is_open,
            has_masks=reading.has_masks,
            is_in_doubt=self._is_in_doubt,
            is_openvino=self.exported.is_openvino,
        )


def _settled(
    folder: Path, asked: Interpretation, family: Family, options: Mapping[str, Any]
) -> tuple[Interpretation, list[str]]:
    """Have the model detect in a picture; return how its boxes are to be read, as these themselves tell."""
    detector = OnnxDetector(folder, name=family.title, precision=Precision.FLOAT32)
    pixels = example_picture()
    _, found = detector.candidates(pixels, 0.0, StageClock())
    detector.detect(pixels)
    largest = float(np.abs(found.boxes).max(initial=0))
    is_said = asked.boxes == "yolox" or "normalised" in options
    if is_said or largest == 0 or asked.normalised == (largest <= _LARGEST_PART):
        return asked, []
    unit = "pixels" if asked.normalised else "parts of the picture's sides"
    return replace(asked, normalised=not asked.normalised), [f"The boxes are {unit}."]


def _doubts(family: Family, asked: Interpretation) -> list[str]:
    others = "; ".join(written(doubt) for doubt in family.other_readings(asked))
    shown = f" 'models check NAME PICTURE' shows what it finds so, and with {others}." if others else ""
    return [f"Assumed, since the file does not say: {_in_words(asked)}.{shown}"]


def _in_words(asked: Interpretation) -> str:
    resizes = {
        "letterbox": "resized to fit and padded around",
        "yolov5": "resized to fit and padded around",
        "corner": "resized to fit and padded right and below",
        "yolox": "resized to fit and padded right and below",
        "stretch": "stretched",
        "shortest": "resized by the short side",
        "whole": "not resized",
    }
    channels = "blue, green, red" if asked.bgr else "red, green, blue"
    numbers = f"minus {_list(asked.mean)} " if any(asked.mean) else ""
    return (
        f"pictures are {resizes[asked.resize]}, channels {channels}, {numbers}divided by {_list(asked.std)}"
    )


def _list(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in dict.fromkeys(numbers))


def _licence(metadata: Mapping[str, Any]) -> str:
    said = str(metadata.get("license") or metadata.get("licence") or "").strip()
    return said if said and problem_of(said) is None else "not stated"
