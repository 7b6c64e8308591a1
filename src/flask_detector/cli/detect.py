"""``flask-detector detect``: pictures in, results out, without any server."""

import json
from pathlib import Path
from typing import Any

import click

from flask_detector import images, rendering
from flask_detector.detections import Detections
from flask_detector.detectors import load_detector
from flask_detector.detectors.base import Detector
from flask_detector.errors import DetectorError
from flask_detector.settings import Settings


@click.command()
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the drawn pictures there, as detected_NAME.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line instead of a summary.")
@click.option("--model", default="auto", show_default=True, help="'flask-detector models' lists them.")
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="The lowest score to keep.  [default: the model's own]"
)
def detect(
    pictures: tuple[Path, ...], out: Path | None, as_json: bool, model: str, min_score: float | None
) -> None:
    """Detect objects in pictures, here and now, without a server.

    A picture that can't be used is reported; the others are still detected, and the exit status is 1.
    """
    settings = Settings.from_environment()
    limits = images.Limits(settings.max_upload_bytes, settings.max_pixels)
    detector = load_detector(model, settings=settings)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    failed = False
    for path in pictures:
        try:
            report, lines = _detect_one(path, detector, limits, min_score, out)
        except DetectorError as error:
            failed = True
            report = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
            lines = [f"{path}: {error}"]
        if as_json:
            click.echo(json.dumps({"file": str(path), **report}))
        else:
            click.echo("\n".join(lines), err="error" in report)
    if failed:
        raise click.exceptions.Exit(1)


def _detect_one(
    path: Path, detector: Detector, limits: images.Limits, min_score: float | None, out: Path | None
) -> tuple[dict[str, Any], list[str]]:
    """Return the result's JSON form, and the lines that tell a person of it."""
    picture, info = images.decode(_read(path), limits)
    found = detector.detect(picture, min_score=min_score)
    report = found.to_json()
    lines = _summary(path, found)
    if out is not None:
        output = images.output_format(info.format)
        suffix = path.suffix if output == info.format else ".png"
        target = out / f"detected_{path.stem}{suffix}"
        target.write_bytes(
            images.encode(rendering.draw(picture, found), output, icc_profile=info.icc_profile)
        )
        report["drawn"] = str(target)
        lines.append(f"  drawn to {target}")
    return report, lines


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DetectorError(f"The file can't be read: {error.strerror}.") from error


def _summary(path: Path, found: Detections) -> list[str]:
    milliseconds = sum(found.timings.values()) * 1000
    counts = ", ".join(f"{number} {label}" for label, number in found.counts().items()) or "nothing found"
    lines = [f"{path}: {counts} ({found.model}, {milliseconds:.0f} ms)"]
    for instance in found:
        x1, y1, x2, y2 = (round(side) for side in instance.box)
        lines.append(f"  {instance.score:6.1%}  {instance.label:<16} {x1},{y1} to {x2},{y2}")
    return lines
