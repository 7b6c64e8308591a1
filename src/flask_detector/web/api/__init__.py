"""The HTTP API, version 1. It uses no cookie: API keys, or a detection's id, open what they open."""

from flask_detector.web.api import batches, detections, files, models
from flask_detector.web.api.docs_page import page
from flask_detector.web.api.operations import blueprint

__all__ = ["batches", "blueprint", "detections", "files", "models", "page"]
