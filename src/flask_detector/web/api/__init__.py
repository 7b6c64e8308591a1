"""The HTTP API, version 1. It uses no cookies: an API key or a detection's id gives access."""

from flask_detector.web.api import (
    annotations,
    batches,
    collections,
    detections,
    doubts,
    files,
    links,
    models,
    pictures,
    teaching,
)
from flask_detector.web.api.docs_page import page
from flask_detector.web.api.operations import blueprint

__all__ = [
    "annotations",
    "batches",
    "blueprint",
    "collections",
    "detections",
    "doubts",
    "files",
    "links",
    "models",
    "page",
    "pictures",
    "teaching",
]  # fmt: skip
