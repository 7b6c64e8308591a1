"""Processing many pictures: each is read, detected and reported; a failure does not stop the others."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from difflib import get_close_matches
from typing import Any

import click

from flask_detector.cli.inputs import Input, Unreadable, printable
from flask_detector.cli.prefetch import in_order
from flask_detector.cli.progress import PictureProgress
from flask_detector.client import Client, ServerError
from flask_detector.detectors.base import Detector
from flask_detector.errors import DetectorError, PictureTooLarge
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.structures.detections import Detections, MaskEncoding
from flask_detector.structures.labels import asked_labels, plural

# Takes the bytes and the file name of a picture.
Detect = Callable[[bytes, str], Detections]


def here(detector: Detector, limits: Limits, min_score: float | None) -> Detect:
    """Return a function that runs detection locally."""

    def detect(data: bytes, filename: str) -> Detections:
        pixels, _ = decode.load(data, limits, max_side=detector.max_side)
        return detector.detect(pixels, min_score=min_score)

    return detect


def on_server(client: Client, limits: Limits, model: str, min_score: float | None) -> Detect:
    """Return a function that runs detection on a server."""

    def detect(data: bytes, filename: str) -> Detections:
        decode.check(data, limits)  # don't send what is not a picture
        return client.detect(data, filename, model=model, min_score=min_score)

    return detect


def select_labels(text: str, labels: Sequence[str]) -> list[str]:
    """Return the classes named in a text; raises BadParameter if the model has no such class."""
    wanted = asked_labels([text], labels)
    for name in wanted:
        if name not in labels:
            near = get_close_matches(name, labels, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Its classes are {', '.join(labels)}."
            raise click.BadParameter(f"The model has no class '{name}'.{hint}", param_hint="--labels")
    return wanted


class Run:
    """The processing of all pictures of a command.

    detect: processes one of them.
    max_bytes: of a file; larger ones are not read completely.
    labels: the classes to keep, separated by commas; empty for all.
    as_json, masks: the format of results on standard output.
    at_once: number of parallel calls of `detect`.
    """

    def __init__(
        self,
        detect: Detect,
        *,
        max_bytes: int,
        labels: str,
        as_json: bool,
        masks: MaskEncoding,
        at_once: int = 1,
    ) -> None:
        self.failures = 0
        self.done = 0
        self._detect = detect
        self._max_bytes = max_bytes
        self._labels = labels
        self.as_json, self._masks = as_json, masks
        self._at_once = at_once
        self._progress = PictureProgress(0)

    def each(self, pictures: Sequence[Input]) -> Iterator[tuple[Input, bytes, Detections]]:
        """Yield the usable pictures in order, with bytes and detections, and show progress.

        Raises ServerError if the server can't be used at all.
        """
        results = in_order(self._process, pictures, at_once=self._at_once)
        with closing(results), PictureProgress(len(pictures)) as self._progress:
            for picture, outcome in results:
                try:
                    data, found = outcome()
                except ServerError:
                    raise
                except DetectorError as error:
                    self.report_failure(str(picture), error)
                else:
                    if wanted := select_labels(self._labels, found.labels):
                        found = found.only(wanted)
                    yield picture, data, found
                    self.done += 1
                self._progress.step()

    def _process(self, picture: Input) -> tuple[bytes, Detections]:
        data = _read(picture, self._max_bytes)
        return data, self._detect(data, picture.relative_path.name)

    def report(self, picture: Input, found: Detections, **written: object) -> None:
        """Print the detections of a picture, and the paths of written files by kind."""
        if self.as_json:
            form = {"file": _name(picture), **found.to_json(masks=self._masks)}
            self._progress.print(json.dumps(form | {word: str(path) for word, path in written.items()}))
        else:
            lines = [*_summary(picture, found), *(f"  {word} to {path}" for word, path in written.items())]
            self._progress.print("\n".join(lines))

    def report_failure(self, name: str, error: DetectorError) -> None:
        """Report a picture that can't be processed, or an argument without one."""
        self.failures += 1
        if self.as_json:
            described: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
            self._progress.print(json.dumps({"file": name, "error": described}))
        else:
            self._progress.print(f"{printable(name)}: {error}", err=True)


def _read(picture: Input, max_bytes: int) -> bytes:
    try:
        if picture.path is None:
            data = sys.stdin.buffer.read(max_bytes + 1)
        else:
            with picture.path.open("rb") as file:
                data = file.read(max_bytes + 1)
    except OSError as error:
        raise Unreadable(f"The file can't be read: {error.strerror}.") from error
    if len(data) > max_bytes:
        raise PictureTooLarge(f"The file has more than {max_bytes / 1e6:g} MB, the most that is accepted.")
    return data


def _name(picture: Input) -> str:
    return "-" if picture.path is None else str(picture.path)


def _summary(picture: Input, found: Detections) -> list[str]:
    milliseconds = sum(found.timings.values()) * 1000
    counts = ", ".join(f"{number} {plural(label, number)}" for label, number in found.counts().items())
    lines = [f"{picture}: {counts or 'nothing found'} ({found.model}, {milliseconds:.0f} ms)"]
    for instance in found:
        x1, y1, x2, y2 = (round(side) for side in instance.box)
        lines.append(f"  {instance.score:6.1%}  {instance.label:<16} {x1},{y1} to {x2},{y2}")
    return lines
