"""What only teaching needs, and whether it is installed: asked by those who never import it."""

import shlex
import sys
from importlib.util import find_spec
from typing import Final

_TEACHING: Final = ("torch", "kornia", "onnx", "pycocotools")

INSTALL_TEACHING: Final = (
    f"{shlex.quote(sys.executable)} -m pip install 'flask-detector[teach]' "
    "--extra-index-url https://download.pytorch.org/whl/cpu"
)
"""The one command that installs it, into the environment that this runs in."""


def missing_for_teaching() -> list[str]:
    """Return which of its packages are not installed here; none of them is imported."""
    return [name for name in _TEACHING if find_spec(name) is None]
