"""``flask-detector detect``: detection in many pictures, locally or on a server."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from flask_detector.atomic_files import write_whole
from flask_detector.cli import detect_run
from flask_detector.cli.inputs import Input, find_inputs, printable
from flask_detector.cli.output_folder import DRAWN, OutputFolder
from flask_detector.client import Client
from flask_detector.detectors import load_detector
from flask_detector.errors import DetectorError
from flask_detector.formats import FORMATS, dataset
from flask_detector.imaging import decode, encode
from flask_detector.imaging.limits import Limits
from flask_detector.settings import Settings
from flask_detector.structures.detections import Detections, MaskEncoding
from flask_detector.structures.doubt import doubt
from flask_detector.visualization import annotate

# Of what is looked at to tell how sure a model is.
_LEAST_SCORE = 0.05

_FAILED, _USAGE, _INTERRUPTED, _NOBODY_READS = 1, 2, 130, 141


@click.command()
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True)
@click.option(
    "--out",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="A folder for annotated pictures, or with --format for one file per picture; or, with --format, "
    "NAME.zip for a single data set.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(FORMATS)),
    help="Write this format instead of annotated pictures; requires --out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line instead of a summary.")
@click.option(
    "--masks",
    type=click.Choice(["rle", "polygon", "none"]),
    default="rle",
    show_default=True,
    help="How --json encodes masks.",
)
@click.option("--model", default="auto", show_default=True, help="See 'flask-detector models' for the list.")
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="Minimum score to keep.  [default: depends on the model]"
)
@click.option("--labels", metavar="A,B", default="", help="Keep only these classes of the model.")
@click.option(
    "--server", metavar="URL", help="Run detection on that flask-detector server instead of locally."
)
@click.option(
    "--api-key",
    envvar="DETECTOR_API_KEY",
    show_envvar=True,
    help="API key for the server; prefer the variable, which other users of this machine can't see.",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Number of parallel requests to --server.",
)
@click.option("--again", is_flag=True, help="Overwrite results of an earlier run.")
@click.option(
    "--unsure-first",
    is_flag=True,
    help="Print only in how many objects of each picture the model is in doubt, most first.",
)
def detect(
    pictures: tuple[str, ...],
    out: Path | None,
    kind: str | None,
    as_json: bool,
    masks: MaskEncoding,
    model: str,
    min_score: float | None,
    labels: str,
    server: str | None,
    api_key: str | None,
    at_once: int,
    again: bool,
    unsure_first: bool,
) -> None:
    """Detect objects in pictures, locally or on a server.

    A PICTURE is a file, a folder (searched recursively), a pattern such as 'photos/**/*.jpg', or - for
    standard input. Unreadable pictures are reported and the others are still processed.

    Files are written completely or not at all. After an interruption, run the same command again to resume:
    pictures already processed with the same options are skipped.

    \b
    Exit status:
      0    all pictures are processed, now or earlier
      1    something failed: a picture, the server or the disk
      2    invalid command, or no pictures found
      130  interrupted
      141  the reader of the output closed it
    """  # noqa: D301  (click's mark for a paragraph that is not to be wrapped)
    into_zip = _is_zip(out)
    _check(out, kind, server, unsure_first=unsure_first)
    settings = Settings.from_environment()
    limits = Limits.of(settings)
    shown_score = min_score or 0.0
    if server is None:
        detector = load_detector(model, settings=settings)
        if unsure_first:
            shown_score = detector.default_min_score if min_score is None else min_score
            min_score = min(_LEAST_SCORE, shown_score)
        detect_run.select_labels(labels, detector.labels)
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
        found, missed = find_inputs(pictures, leave_out=None if into_zip else out)
        for one in missed:
            run.report_failure(one.argument, one.error)
        if not found:
            click.echo("No pictures found.", err=True)
            raise click.exceptions.Exit(_USAGE)
        if unsure_first:
            _list_unsure(run, found, shown_score)
        elif out is None:
            for picture, _, result in run.each(found):
                run.report(picture, result)
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


def _check(out: Path | None, kind: str | None, server: str | None, *, unsure_first: bool) -> None:
    """Raise UsageError for options that don't go together."""
    if kind is None and _is_zip(out):
        raise click.UsageError("A data set also requires --format.")
    if kind is not None and out is None:
        raise click.UsageError("--format requires --out: a folder, or NAME.zip for one data set.")
    if unsure_first and (server is not None or out is not None):
        raise click.UsageError("--unsure-first goes with neither --server nor --out.")


def _list_unsure(run: detect_run.Run, found: Sequence[Input], shown_score: float) -> None:
    """Print in how many objects of each picture the model is in doubt, most first."""
    doubts = [
        (doubt(result.scores.tolist(), shown_score), str(picture)) for picture, _, result in run.each(found)
    ]
    for number, name in sorted(doubts, key=lambda one: -one[0]):
        form = {"file": name, "doubt": number}
        click.echo(json.dumps(form) if run.as_json else f"{number:7.2f}  {printable(name)}")


def _is_zip(out: Path | None) -> bool:
    return out is not None and out.suffix.lower() == ".zip" and not out.is_dir()


def _into_folder(
    run: detect_run.Run,
    found: Sequence[Input],
    folder: OutputFolder,
    kind: str | None,
    limits: Limits,
    *,
    again: bool,
) -> None:
    found = folder.without_own(found)
    remaining = [picture for picture in found if again or not folder.is_done(picture)]
    if len(remaining) < len(found):
        click.echo(f"{len(found) - len(remaining)} of {len(found)} pictures are already done.", err=True)
    for picture, data, result in run.each(remaining):
        if kind is not None:
            written = folder.write(picture, FORMATS[kind].write(result, picture.relative_path.name))
            run.report(picture, result, written=written)
        else:
            drawn, suffix = _drawn(picture, data, result, limits)
            run.report(picture, result, drawn=folder.write(picture, drawn, suffix=suffix))


def _drawn(picture: Input, data: bytes, result: Detections, limits: Limits) -> tuple[bytes, str]:
    """Return the annotated picture in its original format, and the suffix of its file."""
    info = decode.check(data, limits)
    output = encode.output_format(info.format, info.width * info.height)
    suffix = picture.relative_path.suffix if output == info.format else ""
    pixels, _ = decode.decode(data, limits)
    drawn = encode.encode(annotate.draw(pixels, result), output, icc_profile=info.icc_profile)
    return drawn, suffix or f".{output.lower()}"


def _into_dataset(run: detect_run.Run, found: Sequence[Input], out: Path, kind: str) -> None:
    def items() -> Iterator[dataset.Item]:
        for picture, data, result in run.each(found):
            run.report(picture, result)
            yield picture.relative_path.name, result, data
        if not run.done:
            raise DetectorError(f"No picture could be used; {out} was not written.")

    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, dataset.stream(kind, items()))


@contextlib.contextmanager
def _endings(run: detect_run.Run, *, goes_on: bool) -> Iterator[None]:
    """Exit with the documented status, whatever the reason."""
    try:
        yield
    except KeyboardInterrupt:
        how = " Run the same command again to resume." if goes_on else ""
        click.echo(f"\nStopped after {run.done} pictures.{how}", err=True)
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:
        # Otherwise Python would flush stdout at exit and print an error.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_NOBODY_READS) from None
    except OSError as error:
        where = f"{error.filename}" if error.filename else "The output"
        raise DetectorError(
            f"{where} can't be written: {error.strerror}.",
            hint="Files already written are complete. Free some space, or choose another path with --out.",
        ) from error
