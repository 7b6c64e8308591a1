"""Whether TMPDIR is writable."""

import os
import tempfile
from pathlib import Path

from flask_detector.service.doctor.finding import Findings, warning
from flask_detector.settings import Settings


def check(settings: Settings) -> Findings:
    """Report a TMPDIR that Python passes over, since large uploads then go to another disk."""
    wanted, used = os.environ.get("TMPDIR"), tempfile.gettempdir()
    if wanted and not Path(used).samefile(wanted if Path(wanted).exists() else "/"):
        yield warning(
            f"TMPDIR is {wanted}, which is not writable: {used} is used instead.",
            "Create that folder, or unset TMPDIR.",
        )
