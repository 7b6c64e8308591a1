"""The HTTP API, version 1. It uses no cookie: API keys, or a detection's id, open what they open."""

from flask_detector.web.api import batches, detections, files, installation
from flask_detector.web.api.described import blueprint
from flask_detector.web.api.page import page

__all__ = ["batches", "blueprint", "detections", "files", "installation", "page"]
