"""Whether the inference engine can be loaded, and the CPU suits the settings."""

from importlib import metadata

from flask_detector.service.doctor.finding import Findings, ok, problem, warning
from flask_detector.settings import Settings


def check(settings: Settings) -> Findings:
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
