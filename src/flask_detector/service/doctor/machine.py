"""Whether this Python, the inference engine and the fonts are what is needed."""

import platform
import sys
from importlib import metadata

from PIL import features

from flask_detector._version import __version__
from flask_detector.service.doctor.finding import Findings, ok, problem, warning
from flask_detector.settings import Settings
from flask_detector.visualization.text_labels import WIDER_FONTS, font_named


def check_python(settings: Settings) -> Findings:
    """Report the versions, and a Python of 32 bits."""
    version = platform.python_version()
    yield ok(f"flask-detector {__version__}, Python {version}, {platform.platform(terse=True)}.")
    if not sys.maxsize > 2**32:
        yield problem("This is a 32-bit Python.", "Install a 64-bit one.")


def check_engine(settings: Settings) -> Findings:
    """Report the engine's version and whether the CPU computes in bfloat16."""
    try:
        from flask_detector.detectors.openvino_runtime import cpu_has_bfloat16
    except ImportError as error:
        hint = "Reinstall flask-detector: 'pip install --force-reinstall flask-detector'."
        yield problem(f"OpenVINO can't be loaded: {error}.", hint)
        return
    bfloat16 = cpu_has_bfloat16()
    how = "computes in bfloat16" if bfloat16 else "has no bfloat16: models compute in float32"
    yield ok(f"OpenVINO {metadata.version('openvino')}; the CPU {how}.")
    if settings.precision == "bfloat16" and not bfloat16:
        yield warning(
            "DETECTOR_PRECISION is bfloat16, which this CPU can only emulate slowly.", "Set it to auto."
        )


def check_fonts(settings: Settings) -> Findings:
    """Report the fonts that labels are drawn with."""
    if not features.check("freetype2"):
        yield warning("Pillow has no FreeType: labels are drawn coarsely.", "Install Pillow's wheel.")
        return
    wider = [name for name in WIDER_FONTS if font_named(name, 12)]
    others = f"with {', '.join(wider)}" if wider else "transliterated"
    yield ok(f"Labels are drawn with the font that comes with Pillow; non-Latin letters {others}.")
