"""``flask-detector detect``: pictures in, results out, here or on a server."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from flask_detector.atomic_files import write_whole
from flask_detector.cli import detect_run
from flask_detector.cli.inputs import Found, find
from flask_detector.cli.output_folder import DRAWN, OutputFolder
from flask_detector.client import Client
from flask_detector.detectors import load_detector
from flask_detector.errors import DetectorError
from flask_detector.formats import FORMATS, dataset
from flask_detector.imaging import decode, encode
from flask_detector.imaging.limits import Limits
from flask_detector.settings import Settings
from flask_detector.structures.detections import Detections, MaskForm
from flask_detector.visualization import annotate

_FAILED, _USAGE, _INTERRUPTED, _NOBODY_READS = 1, 2, 130, 141


@click.command()
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True)
@click.option(
    "--out",
    metavar="PLACE",
    type=click.Path(path_type=Path),
    help="A folder, for the drawn pictures or with --format for a file of each; or, with --format, NAME.zip: "
    "one data set of all.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(FORMATS)),
    help="What to write in place of drawn pictures; needs --out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line instead of a summary.")
@click.option(
    "--masks",
    type=click.Choice(["rle", "polygon", "none"]),
    default="rle",
    show_default=True,
    help="How --json tells masks.",
)
@click.option("--model", default="auto", show_default=True, help="'flask-detector models' lists them.")
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="The lowest score to keep.  [default: the model's own]"
)
@click.option(
    "--labels", metavar="A,B", default="", help="Keep only these classes, by the model's names of them."
)
@click.option("--server", metavar="URL", help="Detect on that flask-detector instead of on this machine.")
@click.option(
    "--api-key",
    envvar="DETECTOR_API_KEY",
    show_envvar=True,
    help="Your key for the server; better given by the variable, which others on this machine can't see.",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="How many pictures --server is asked about at the same time.",
)
@click.option("--again", is_flag=True, help="Write anew what an earlier run has written already.")
def detect(
    pictures: tuple[str, ...],
    out: Path | None,
    kind: str | None,
    as_json: bool,
    masks: MaskForm,
    model: str,
    min_score: float | None,
    labels: str,
    server: str | None,
    api_key: str | None,
    at_once: int,
    again: bool,
) -> None:
    """Detect objects in pictures, on this machine or on a server.

    A PICTURE is a file, a folder (searched with all below it), a pattern such as 'photos/**/*.jpg', or - for
    standard input. One that can't be used is reported, and the others are still detected.

    Files are written whole or not at all. When the same command is given again after an interruption, it goes
    on where it was: what is in the folder from the same picture and with the same options is not done again.

    \b
    Exit status:
      0    every picture is detected, or was before
      1    something failed: a picture, the server, the disk
      2    the command is wrong, or leads to no picture
      130  interrupted
      141  whoever read the output went away
    """  # noqa: D301  (click's mark for a paragraph that is not to be wrapped)
    into_zip = _is_zip(out)
    if kind is None and into_zip:
        raise click.UsageError("A data set needs --format as well.")
    if kind is not None and out is None:
        raise click.UsageError("--format needs --out as well: a folder, or NAME.zip for one data set.")
    settings = Settings.from_environment()
    limits = Limits.of(settings)
    if server is None:
        detector = load_detector(model, settings=settings)
        detect_run.known_labels(labels, detector.labels)
        model = detector.name
        detect_one = detect_run.here(detector, limits, min_score)
        at_once = 1  # the detector uses all processors for one picture
    else:
        detect_one = detect_run.on_server(Client(server, api_key=api_key), limits, model, min_score)
    run = detect_run.Run(
        detect_one,
        max_bytes=limits.max_bytes,
        labels=labels,
        as_json=as_json,
        masks=masks,
        at_once=at_once,
    )
    with _endings(run, goes_on=out is not None and not into_zip):
        found, missed = find(pictures, leave_out=None if into_zip else out)
        for one in missed:
            run.miss(one)
        if not found:
            click.echo("There is no picture to detect in.", err=True)
            raise click.exceptions.Exit(_USAGE)
        if out is None:
            for picture, _, result in run.each(found):
                run.tell(picture, result)
        elif into_zip:
            _into_dataset(run, found, out, str(kind))
        else:
            options = {
                "model": model,
                "server": server,
                "min_score": min_score,
                "labels": sorted(filter(None, map(str.strip, labels.split(",")))),
            }
            folder = OutputFolder(
                out, kind=kind or DRAWN, suffix=FORMATS[kind].suffix if kind else None, options=options
            )
            _into_folder(run, found, folder, kind, limits, again=again)
    if run.failures:
        raise click.exceptions.Exit(_FAILED)


def _is_zip(out: Path | None) -> bool:
    return out is not None and out.suffix.lower() == ".zip" and not out.is_dir()


def _into_folder(
    run: detect_run.Run,
    found: Sequence[Found],
    folder: OutputFolder,
    kind: str | None,
    limits: Limits,
    *,
    again: bool,
) -> None:
    found = folder.without_own(found)
    remaining = [picture for picture in found if again or not folder.is_done(picture)]
    if len(remaining) < len(found):
        click.echo(f"{len(found) - len(remaining)} of {len(found)} pictures are done already.", err=True)
    for picture, data, result in run.each(remaining):
        if kind is not None:
            written = folder.write(picture, FORMATS[kind].write(result, picture.place.name))
            run.tell(picture, result, written=written)
        else:
            drawn, suffix = _drawn(picture, data, result, limits)
            run.tell(picture, result, drawn=folder.write(picture, drawn, suffix=suffix))


def _drawn(picture: Found, data: bytes, result: Detections, limits: Limits) -> tuple[bytes, str]:
    """Return the drawn picture in the format that it came in, and the suffix of its file."""
    info = decode.check(data, limits)
    output = encode.output_format(info.format)
    suffix = picture.place.suffix if output == info.format else ""
    pixels, _ = decode.decode(data, limits)
    drawn = encode.encode(annotate.draw(pixels, result), output, icc_profile=info.icc_profile)
    return drawn, suffix or f".{output.lower()}"


def _into_dataset(run: detect_run.Run, found: Sequence[Found], out: Path, kind: str) -> None:
    def items() -> Iterator[dataset.Item]:
        for picture, data, result in run.each(found):
            run.tell(picture, result)
            yield picture.place.name, result, data
        if not run.done:
            raise DetectorError(f"No picture could be used; {out} is not written.")

    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, dataset.stream(kind, items()))


@contextlib.contextmanager
def _endings(run: detect_run.Run, *, goes_on: bool) -> Iterator[None]:
    """End the command in the documented way, whatever stops it."""
    try:
        yield
    except KeyboardInterrupt:
        how = " The same command goes on from here." if goes_on else ""
        click.echo(f"\nStopped after {run.done} pictures.{how}", err=True)
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:
        # Python would write what is left when it ends, and complain.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_NOBODY_READS) from None
    except OSError as error:
        where = f"{error.filename}" if error.filename else "The output"
        raise DetectorError(
            f"{where} can't be written: {error.strerror}.",
            hint="What is written already is whole. Make room, or choose another place with --out.",
        ) from error
