"""Which fonts labels can be drawn with."""

from PIL import ImageFont, features

from flask_detector.service.doctor.finding import Findings, ok, warning
from flask_detector.settings import Settings
from flask_detector.visualization.text_labels import WIDER_FONTS


def check(settings: Settings) -> Findings:
    """Report the fonts that labels are drawn with."""
    if not features.check("freetype2"):
        yield warning("Pillow has no FreeType: labels are drawn coarsely.", "Install Pillow's wheel.")
        return
    wider = [name for name in WIDER_FONTS if _is_installed(name)]
    others = f"with {', '.join(wider)}" if wider else "transliterated"
    yield ok(f"Labels are drawn with the font that comes with Pillow; non-Latin letters {others}.")


def _is_installed(font: str) -> bool:
    try:
        ImageFont.truetype(font, 12)
    except OSError:
        return False
    return True
