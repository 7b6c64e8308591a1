"""Whether a converted model works, and what its weights find when they are read otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flask_detector.detectors.example_picture import example_picture
from flask_detector.detectors.mask_rcnn.identify import LAYOUTS
from flask_detector.detectors.mask_rcnn.model import MaskRCNN
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.nanodet.taught import load_taught
from flask_detector.detectors.onnx.families import BY_NAME
from flask_detector.detectors.onnx.interpretation import written
from flask_detector.detectors.onnx.model import OnnxDetector
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.detectors.weights_file import architecture_in, read_manifest
from flask_detector.imaging.pixels import Picture
from flask_detector.structures.detections import Detections


@dataclass(frozen=True)
class Outcome:
    """What a model finds when it is read in one of the ways that its file leaves open.

    reading: that way. how: what to give when the model is added, to have it read so.
    is_used: whether it is the one that the model was added as.
    """

    reading: str
    how: str
    is_used: bool
    found: Detections


def check(graphs: Path) -> None:
    """Have the converted weights in a folder detect in the built-in picture.

    Raises CheckpointError where the folder holds no model, or one whose answers are no finite numbers.
    """
    if architecture_in(graphs) == "onnx":
        return  # tried by the process that has read it
    next(outcomes(graphs, example_picture(), min_score=0.05))


def outcomes(graphs: Path, picture: Picture, *, min_score: float | None = None) -> Iterator[Outcome]:
    """Yield what the model in a folder of converted weights finds in a picture (H, W, 3), in float32.

    First as it was added, then in each other way that its file leaves open.

    Raises CheckpointError where the folder holds no model, or one whose answers are no finite numbers.
    """
    manifest = read_manifest(graphs)
    architecture, used = manifest["architecture"], manifest["variant"]
    if architecture == "onnx":
        family = BY_NAME[used]
        asked = family.usual.changed(manifest["options"])
        doubts = family.other_readings(asked) if manifest["is_in_doubt"] else ()
        for doubt in ({}, *doubts):
            exported = OnnxDetector(graphs, name=used, precision=Precision.FLOAT32, options=doubt)
            reading = " with ".join([used, *filter(None, [written(doubt)])])
            how = " ".join(f"--option {written({name: value})}" for name, value in doubt.items())
            yield Outcome(reading, how, not doubt, exported.detect(picture, min_score=min_score))
        return
    if architecture == "nanodet":
        taught = load_taught(graphs, name=architecture, precision=Precision.FLOAT32)
        yield Outcome(used, "", True, taught.detect(picture, min_score=min_score))
        return
    if architecture.startswith("rtmdet"):
        detector = RTMDet(graphs, name=architecture, precision=Precision.FLOAT32)
        yield Outcome(used, "", True, detector.detect(picture, min_score=min_score))
        return
    others = [other for other in Variant if LAYOUTS[other] is LAYOUTS[Variant(used)] and other != used]
    for variant in (Variant(used), *others):
        model = MaskRCNN(graphs, name=variant, precision=Precision.FLOAT32, variant=variant)
        found = model.detect(picture, min_score=min_score)
        yield Outcome(variant, f"--variant {variant}", variant == used, found)
