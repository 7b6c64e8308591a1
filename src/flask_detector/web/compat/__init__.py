"""Other servers' protocols, so that their clients work here. A new one is one file and one row.

A file here reads what its clients send, has `detect.detect` find what is in the picture, and writes what
they expect; errors are reported in their own form too (`blueprint.py`).
"""

from collections.abc import Iterable

from flask_detector.web.compat import cvat, deepstack, doods, huggingface, roboflow
from flask_detector.web.compat.blueprint import Dialect
from flask_detector.web.compat.kserve import routes as kserve
from flask_detector.web.compat.label_studio import routes as label_studio

DIALECTS: dict[str, Dialect] = {
    "deepstack": deepstack.dialect,
    "doods": doods.dialect,
    "kserve": kserve.dialect,
    "label-studio": label_studio.dialect,
    "cvat": cvat.dialect,
    "roboflow": roboflow.dialect,
    "huggingface": huggingface.dialect,
}


def chosen(names: Iterable[str]) -> list[Dialect]:
    """Return the dialects of those names."""
    return [DIALECTS[name] for name in names]
