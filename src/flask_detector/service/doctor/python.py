"""Whether this Python can run flask-detector."""

import platform
import sys

from flask_detector._version import __version__
from flask_detector.service.doctor.finding import Findings, ok, problem
from flask_detector.settings import Settings


def check(settings: Settings) -> Findings:
    """Report the versions, and a Python of 32 bits."""
    version = platform.python_version()
    yield ok(f"flask-detector {__version__}, Python {version}, {platform.platform(terse=True)}.")
    if not sys.maxsize > 2**32:
        yield problem("This is a 32-bit Python.", "Install a 64-bit one.")
