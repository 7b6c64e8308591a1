"""The result in its own form, docs/results.md."""

import json

from flask_detector.structures.detections import Detections


def write(found: Detections, filename: str) -> bytes:
    """Return the result, with the picture's file name, as indented JSON."""
    return json.dumps({"file": filename, **found.to_json()}, indent=2, ensure_ascii=False).encode() + b"\n"
