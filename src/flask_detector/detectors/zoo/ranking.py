"""Which of several models is the default: the most accurate one that is quick on this machine."""

import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from flask_detector.detectors.zoo.registry import Embedded, ModelInfo
from flask_detector.settings import Settings

# A model that takes longer for a picture is not quick.
QUICK_SECONDS = 1.0


def best_first(models: Iterable[ModelInfo], seconds: Mapping[str, float]) -> list[ModelInfo]:
    """Return the models that have a published accuracy, the one to be the default first.

    Quick ones come before slow ones. Of the quick ones masks come before boxes alone, then the higher box AP
    does; of the slow ones the quicker does. The embedded model only stands in until another one is there.

    seconds: what a picture takes, by model name; one that was not measured counts as quick.
    """

    def worth(info: ModelInfo) -> tuple[bool, bool, float, float, str]:
        taken, accuracy = seconds.get(info.name, 0.0), info.box_ap or 0.0
        is_quick = taken <= QUICK_SECONDS
        first = float(info.has_masks) if is_quick else -taken
        return not isinstance(info.source, Embedded), is_quick, first, accuracy, info.name

    return sorted((info for info in models if info.box_ap), key=worth, reverse=True)


def machine_of(settings: Settings) -> str:
    """Return what the time that a picture takes depends on besides the model."""
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        processor = next((line for line in lines if line.startswith("model name")), processor)
    name = processor.partition(":")[2].strip() or processor
    return f"{name}, {os.cpu_count()} cores, {settings.threads or 'default'} threads, {settings.precision}"
