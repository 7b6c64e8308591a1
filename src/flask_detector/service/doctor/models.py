"""Whether models are installed with the published weights, and the default one runs."""

import time

import numpy as np

from flask_detector.detectors import AUTO, MAIN_MODEL, load_detector, model_store
from flask_detector.detectors.zoo.download import sha256_of
from flask_detector.detectors.zoo.registry import Published
from flask_detector.service.doctor.finding import Findings, ok, problem, warning
from flask_detector.settings import Settings


def check_models(settings: Settings) -> Findings:
    """Report the installed models, altered weights, and a DETECTOR_MODEL that can't be loaded."""
    store = model_store(settings)
    installed = store.installed()
    if store.folder.exists() and not store.folder.is_dir():
        yield problem(f"{store.folder} is no folder.", "Set DETECTOR_MODELS_DIR to a folder, or unset it.")
    yield ok(f"Installed: {', '.join(installed)}; default: {store.default()}.")
    for name in installed:
        source = store.info(name).source
        if isinstance(source, Published) and not sha256_of(store.path(name)).startswith(source.sha256):
            yield problem(
                f"The weights of {name} are not the published ones.",
                f"flask-detector models remove {name}; flask-detector models pull {name}",
            )
    if settings.model not in {AUTO, *installed}:
        is_known = settings.model in {info.name for info in store.known()}
        yield problem(
            f"DETECTOR_MODEL is {settings.model}, which is not installed.",
            f"flask-detector models pull {settings.model}"
            if is_known
            else f"Set it to auto, or to one of: {', '.join(installed)}.",
        )
    if not any(store.info(name).has_masks for name in installed):
        yield warning("No model with masks is installed.", f"flask-detector models pull {MAIN_MODEL}")


def check_detection(settings: Settings) -> Findings:
    """Run the model on a grey picture; raises what `load_detector` does."""
    detector = load_detector(AUTO, settings=settings)
    start = time.perf_counter()
    detector.detect(np.full((240, 320, 3), 128, np.uint8))
    yield ok(f"{detector.name} processed a picture in {time.perf_counter() - start:.2f} s.")
