"""The models: which there are, and how one is loaded. Importing this imports neither engine nor numpy."""

from dataclasses import replace
from typing import TYPE_CHECKING

from flask_detector.detectors.zoo.conversion import Converter, checkpoint_converter
from flask_detector.detectors.zoo.install_state import ModelState, Stage
from flask_detector.detectors.zoo.ranking import machine_of
from flask_detector.detectors.zoo.registry import AUTO, MAIN_MODEL, MODELS, PAIR, Embedded, ModelInfo
from flask_detector.detectors.zoo.store import ModelStore
from flask_detector.process import available_memory
from flask_detector.settings import Settings

if TYPE_CHECKING:
    from flask_detector.detectors.base import Detector

__all__ = [
    "AUTO",
    "MAIN_MODEL",
    "MODELS",
    "ModelInfo",
    "ModelState",
    "ModelStore",
    "Stage",
    "load_detector",
    "model_store",
]

# What Mask R-CNN takes at its peak, and some more.
_MEASURING_BYTES = 700_000_000


def model_store(settings: Settings) -> ModelStore:
    """Return the models of an installation."""

    def converter() -> Converter:
        return replace(checkpoint_converter(), measure=lambda name: _measured(name, settings))

    folder = settings.models_dir or settings.data_dir / "models"
    return ModelStore(folder, converter=converter, machine=machine_of(settings))


def _measured(name: str, settings: Settings) -> float | None:
    """Return what a picture takes; None where there is too little memory to load a model besides."""
    if (left := available_memory.available()) is not None and left < _MEASURING_BYTES:
        return None
    from flask_detector.detectors.measure import measure

    return measure(load_detector(name, settings=settings))


def load_detector(name: str = AUTO, *, settings: Settings | None = None) -> "Detector":
    """Return a loaded model, converted first if need be.

    name: of a model; `auto` for the one that the settings name, or, if these say `auto` as well, the best
    one that is installed, see `best_first`.

    Raises UnknownModel, ModelNotInstalled and CheckpointError.
    """
    settings = settings or Settings.from_environment()
    store = model_store(settings)
    if name == AUTO:
        name = settings.model
    if name == AUTO:
        name = store.default()
    info = store.info(name)
    # Refused before the engine is imported.
    graphs = None if isinstance(info.source, Embedded) else store.ready(name)
    from flask_detector.detectors.openvino_runtime import Precision

    precision = Precision(settings.precision)
    if graphs is None:
        from flask_detector.detectors.nanodet.detector import NanoDet

        return NanoDet(threads=settings.threads or 1, precision=precision)
    from flask_detector.detectors.weights_file import read_manifest

    manifest = read_manifest(graphs)
    architecture = manifest["architecture"]
    if architecture == "nanodet":
        from flask_detector.detectors.nanodet.taught import load_taught

        return load_taught(graphs, name=name, threads=settings.threads or 1, precision=precision)
    if architecture == "onnx":
        from flask_detector.detectors.onnx.model import OnnxDetector

        return OnnxDetector(graphs, name=name, threads=settings.threads, precision=precision)
    from flask_detector.detectors.mask_rcnn.model import MaskRCNN
    from flask_detector.detectors.pair import Pair
    from flask_detector.detectors.rtmdet.model import RTMDet

    kind = RTMDet if architecture.startswith("rtmdet") else MaskRCNN
    detector = kind(graphs, name=name, threads=settings.threads, precision=precision)
    if not isinstance(detector, RTMDet) or manifest["variant"] != PAIR:
        return detector
    base = manifest["options"]["base"]
    beside = RTMDet(store.ready(base), name=base, threads=settings.threads, precision=precision)
    return Pair(beside, detector, name=name, replaces=manifest["options"]["replaces"])
