"""Self-hosted object detection and instance segmentation; docs/python.md describes each name.

The public names are imported when they are first used: the supervisor needs none of them, and stays small.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flask_detector._version import __version__

if TYPE_CHECKING:
    from flask_detector import errors, formats
    from flask_detector.api import Detections, PictureDetector, load_detector
    from flask_detector.client import Client
    from flask_detector.detectors import MODELS
    from flask_detector.structures.detections import Instance
    from flask_detector.structures.masks import Mask

__all__ = [
    "MODELS",
    "Client",
    "Detections",
    "Instance",
    "Mask",
    "PictureDetector",
    "__version__",
    "errors",
    "formats",
    "load_detector",
]

_MODULES = {
    "Client": "flask_detector.client",
    "Detections": "flask_detector.api",
    "Instance": "flask_detector.structures.detections",
    "MODELS": "flask_detector.detectors",
    "Mask": "flask_detector.structures.masks",
    "PictureDetector": "flask_detector.api",
    "load_detector": "flask_detector.api",
}


def __getattr__(name: str) -> Any:
    if name in {"errors", "formats"}:
        return import_module(f"flask_detector.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'flask_detector' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
