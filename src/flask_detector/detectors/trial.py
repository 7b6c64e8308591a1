"""Whether a converted model works, and what its weights find when they are read otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from flask_detector.detectors.mask_rcnn.identify import LAYOUTS
from flask_detector.detectors.mask_rcnn.model import MaskRCNN
from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.nanodet.taught import load_taught
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture
from flask_detector.structures.detections import Detections

_SMALL = Limits(1 << 20, 1 << 20)


@dataclass(frozen=True)
class Outcome:
    """What a model finds when its weights are read as those of a variant.

    is_used: whether it is the one that the model was added as.
    """

    variant: str
    is_used: bool
    found: Detections


def check(graphs: Path) -> None:
    """Have the converted weights in a folder detect in the built-in picture.

    Raises CheckpointError where the folder holds no model, or one whose answers are no finite numbers.
    """
    picture = resources.files("flask_detector") / "web" / "static" / "example-small.jpg"
    pixels, _ = decode.decode(picture.read_bytes(), _SMALL)
    next(outcomes(graphs, pixels, min_score=0.05))


def outcomes(graphs: Path, picture: Picture, *, min_score: float | None = None) -> Iterator[Outcome]:
    """Yield what the model in a folder of converted weights finds in a picture (H, W, 3), in float32.

    First as it was added, then as each other variant that has the same layers.

    Raises CheckpointError where the folder holds no model, or one whose answers are no finite numbers.
    """
    weights = WeightsFile.open(graphs)
    if weights.architecture == "nanodet":
        taught = load_taught(graphs, name=weights.architecture, precision=Precision.FLOAT32)
        yield Outcome(weights.variant, True, taught.detect(picture, min_score=min_score))
        return
    if weights.architecture.startswith("rtmdet"):
        detector = RTMDet(graphs, name=weights.architecture, precision=Precision.FLOAT32)
        yield Outcome(weights.variant, True, detector.detect(picture, min_score=min_score))
        return
    used = Variant(weights.variant)
    others = [other for other in Variant if LAYOUTS[other] is LAYOUTS[used] and other is not used]
    for variant in (used, *others):
        model = MaskRCNN(graphs, name=variant, precision=Precision.FLOAT32, variant=variant)
        found = model.detect(picture, min_score=min_score)
        yield Outcome(variant, variant is used, found)
