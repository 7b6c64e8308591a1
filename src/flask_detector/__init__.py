"""Self-hosted object detection and instance segmentation.

The public names are imported when they are first used: the supervisor needs none of them, and stays small.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flask_detector._version import __version__

if TYPE_CHECKING:
    from flask_detector.api import Detections, load_detector
    from flask_detector.detectors import MODELS
    from flask_detector.structures.detections import Instance

__all__ = ["MODELS", "Detections", "Instance", "__version__", "load_detector"]

_HOMES = {
    "Detections": "flask_detector.api",
    "Instance": "flask_detector.structures.detections",
    "MODELS": "flask_detector.detectors",
    "load_detector": "flask_detector.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flask_detector' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
