"""From an exported file to a folder that a detector is made of: recognised, tried on a picture, written.

This runs in the process of `isolated.py` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from flask_detector.detectors.base import StageClock
from flask_detector.detectors.checkpoint.class_names import ClassNames, class_names
from flask_detector.detectors.onnx.description import read_description
from flask_detector.detectors.onnx.families import BY_NAME, FAMILIES, Family, Match, Port, Signature
from flask_detector.detectors.onnx.header import check_header
from flask_detector.detectors.onnx.interpretation import Interpretation, written
from flask_detector.detectors.onnx.model import GRAPH, OnnxDetector
from flask_detector.detectors.openvino_runtime import (
    Graph,
    Precision,
    channels_last,
    chosen,
    metadata_of,
    ports_of,
    read_graph,
    reshaped,
    save_graph,
)
from flask_detector.detectors.reading import Reading
from flask_detector.detectors.weights_file import write_manifest
from flask_detector.errors import BadParameter, CheckpointError, ForeignCheckpoint
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.structures.labels import problem_of

_USUAL_SIDE = 640
_TASKS = {"", "detect", "segment"}

# Numbers that an output may have for a picture; the largest masks here are 300 of 1333x1333.
_MOST_NUMBERS = 600_000_000

# Places over this are pixels, not parts of a side or strides.
_LARGEST_PART = 2.0
_LARGEST_OFFSET = 60.0


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
    exported = _Exported.read(file, options)
    families = FAMILIES if variant is None else (BY_NAME[variant],)
    for family in families:
        if (match := family.find(exported.signature)) is not None:
            return _Conversion(exported, family, match).write(folder, labels, options)
    raise ForeignCheckpoint(
        f"The model's inputs and outputs are those of no family known here: {exported.described()}.",
        hint="Export it with another option, or name a family with --variant: docs/onnx.md lists them.",
    )


@dataclass(frozen=True)
class _Exported:
    """A file that the engine has read."""

    graph: Graph
    signature: Signature

    @classmethod
    def read(cls, file: Path, options: Mapping[str, Any]) -> "_Exported":
        check_header(file)
        try:
            graph = read_graph(file)
            inputs, _ = _ports(graph)
            picture = _picture_input(inputs)
            shape = inputs[picture].shape or ()
            metadata = metadata_of(graph)
            places = (-3, -2) if channels_last(shape) else (-2, -1)
            sides = tuple(shape[place] for place in places)
            size = _wanted_size(sides, metadata, options)
            static = reshaped(graph.clone(), {picture: _with_sides(shape, places, size)})
            inputs, outputs = _ports(static)
        except RuntimeError as error:
            raise CheckpointError(
                f"The engine can't read the model: {_first_line(error)}",
                hint="Export it again, with another opset or from a newer version of its program.",
            ) from error
        signature = Signature(inputs, outputs, metadata, picture, size, None in sides)
        for port in outputs:
            if port.shape and np.prod([side or 1 for side in port.shape], dtype=float) > _MOST_NUMBERS:
                raise CheckpointError(
                    f"An output of the model has the shape {port.shape}, which no detector needs.",
                    hint="Export it again.",
                )
        return cls(graph, signature)

    def described(self) -> str:
        """Return inputs and outputs in words."""
        ports = {"inputs": self.signature.inputs, "outputs": self.signature.outputs}
        return "; ".join(
            f"{what} "
            + ", ".join(
                f"{min(port.names, default='unnamed')[:40]} {list(port.shape or ())}" for port in some[:8]
            )
            for what, some in ports.items()
        )


def _ports(graph: Graph) -> tuple[tuple[Port, ...], ...]:
    return tuple(tuple(Port(*port) for port in ports) for ports in ports_of(graph))


def _picture_input(inputs: Sequence[Port]) -> int:
    def is_picture(shape: Sequence[int | None]) -> bool:
        return len(shape) in {3, 4} and (shape[-3] in {3, None} or shape[-1] == 3)

    found = [i for i, port in enumerate(inputs) if is_picture(port.shape or ())]
    if not found:
        shapes = ", ".join(str(list(port.shape or ())) for port in inputs[:8])
        raise ForeignCheckpoint(
            f"No input of the model takes pictures of three channels; its inputs are {shapes}.",
            hint="Export a detector of colour pictures.",
        )
    shape: Sequence[int | None] = inputs[found[0]].shape or ()
    if len(shape) == 4 and shape[0] not in {1, None}:
        raise ForeignCheckpoint(
            f"The model takes {shape[0]} pictures at once.", hint="Export it with batch size 1."
        )
    return found[0]


def _wanted_size(
    sides: tuple[int | None, ...], metadata: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[int, int]:
    """Return the height and width that a network is used with."""
    said = _pair(metadata.get("imgsz"))
    given = Interpretation(size=said or (_USUAL_SIDE, _USUAL_SIDE)).changed(
        {name: value for name, value in options.items() if name == "size"}
    )
    height, width = (fixed or wanted for fixed, wanted in zip(sides, given.size, strict=True))
    if "size" in options and (height, width) != given.size:
        raise BadParameter(
            f"The model takes pictures of {height}x{width} alone.", hint="Leave the option size out."
        )
    return height, width


def _pair(said: Any) -> tuple[int, int] | None:
    numbers = [int(word) for word in str(said).strip("[]() ").replace(",", " ").split() if word.isdecimal()]
    if len(numbers) not in {1, 2} or not all(32 <= number <= 4096 for number in numbers):
        return None
    return numbers[0], numbers[-1]


def _with_sides(
    shape: Sequence[int | None], places: tuple[int, int], size: Sequence[int | None]
) -> list[int | None]:
    """Return the shape of an input for one picture of that size."""
    found = list(shape)
    channel = -1 if places == (-3, -2) else -3
    found[channel] = 3
    for place, side in zip(places, size, strict=True):
        found[place] = side
    if len(found) == 4:
        found[0] = 1
    return found


@dataclass(frozen=True)
class _Conversion:
    exported: _Exported
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
        is_open = self.exported.signature.is_open and asked.resize in {"letterbox", "shortest", "whole"}
        self._write_graph(folder, asked, is_open=is_open)
        reading = Reading(
            architecture="onnx",
            variant=self.family.name,
            title=self.family.title,
            labels=names.labels,
            options=asked.differences(self.family.usual),
            notes=(names.note, *notes, *self.match.notes),
            has_masks=len(self.match.outputs) > _OUTPUTS_OF_BOXES.get(self.family.name, 1),
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
        if (
            not self.exported.signature.is_open
            and asked.resize in {"whole", "shortest"}
            and "resize" not in options
        ):
            asked = replace(asked, resize="corner", padding=0)
            notes.append("The network takes pictures of one size alone: they are resized to fit and padded.")
        asked = asked.changed(options)
        if not self.exported.signature.is_open and asked.resize in {"whole", "shortest"}:
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
        classes = self.match.classes - (asked.first_class if self.match.classes == 91 else 0)
        if not self.match.classes:
            count = len(labels) or len(meta.get("names", ()))
            classes = count or (90 if asked.first_class else 80)
        return class_names(meta, classes, given=labels, background_first=bool(asked.first_class))

    def _write_graph(self, folder: Path, asked: Interpretation, *, is_open: bool) -> None:
        graph, signature = self.exported.graph, self.exported.signature
        inputs, _ = _ports(graph)
        shape = inputs[signature.picture].shape or ()
        places = (-3, -2) if channels_last(shape) else (-2, -1)
        size: Sequence[int | None] = (None, None) if is_open else asked.size
        graph = reshaped(graph, {signature.picture: _with_sides(shape, places, size)})
        constants: dict[int, np.ndarray[Any, Any] | None] = {}
        for index, port in enumerate(inputs):
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
        save_graph(chosen(graph, signature.picture, constants, self.match.outputs), folder / GRAPH)

    def _write_manifest(self, folder: Path, reading: Reading, names: ClassNames, is_open: bool) -> None:
        write_manifest(
            folder,
            reading,
            names.classes,
            network_classes=self.match.classes,
            is_open=is_open,
            has_masks=reading.has_masks,
            is_in_doubt=self._is_in_doubt,
        )


# How many outputs a model without masks has; where not given, one.
_OUTPUTS_OF_BOXES = {
    "tensorflow": 3,
    "target-sizes": 3,
    "lists": 3,
    "mmdeploy": 2,
    "rf-detr": 2,
    "detr": 2,
}


def _settled(
    folder: Path, asked: Interpretation, family: Family, options: Mapping[str, Any]
) -> tuple[Interpretation, list[str]]:
    """Have the model detect in a picture; return how its boxes are to be read, as these themselves tell."""
    detector = OnnxDetector(folder, name=family.title, precision=Precision.FLOAT32)
    picture = resources.files("flask_detector") / "web" / "static" / "example-small.jpg"
    pixels, _ = decode.decode(picture.read_bytes(), Limits(1 << 20, 1 << 20))
    _, found = detector.candidates(pixels, 0.0, StageClock())
    detector.detect(pixels)
    largest = float(np.abs(found.boxes).max(initial=0))
    if asked.boxes == "yolox":
        return asked, []
    if "normalised" not in options and not asked.normalised and 0 < largest <= _LARGEST_PART:
        return replace(asked, normalised=True), ["The boxes are parts of the picture's sides."]
    return asked, []


def _doubts(family: Family, asked: Interpretation) -> list[str]:
    others = "; ".join(written(doubt) for doubt in family.doubts)
    return [
        f"Assumed, since the file does not say: {_in_words(asked)}. 'models check NAME PICTURE' shows what "
        f"it finds so, and with {others}."
    ]


def _in_words(asked: Interpretation) -> str:
    resizes = {
        "letterbox": "resized to fit and padded around",
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


def _first_line(error: Exception) -> str:
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception", "Check", "FrontEnd", "Summary"))]
    return (telling or lines or ["it gives no reason"])[0][:300]
