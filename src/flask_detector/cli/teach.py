"""``flask-detector teach``: a model of a user's own classes, from pictures in which they are marked."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import click

from flask_detector.settings import Settings
from flask_detector.teach.lesson import DEFAULT_BASE, Lesson
from flask_detector.teach.report import clock, in_words
from flask_detector.teach.run import teach as run

_SECONDS_BETWEEN_LINES = 10.0
_NICENESS = 10


@click.command()
@click.option(
    "--data",
    required=True,
    metavar="DIR|ZIP",
    type=click.Path(exists=True, path_type=Path),
    help="A data set in the format of COCO, YOLO or another that is imported.",
)
@click.option("--name", required=True, help="Name of the new model.")
@click.option(
    "--base",
    default=DEFAULT_BASE,
    show_default=True,
    help="Model to begin with: the embedded one, or an RTMDet-Ins that is installed.",
)
@click.option("--classes", metavar="a,b,c", help="Classes to teach.  [default: all that are marked]")
@click.option(
    "--minutes",
    type=click.FloatRange(0.1, 10_000),
    default=5.0,
    show_default=True,
    help="Time that it may take.",
)
@click.option(
    "--partly-marked",
    is_flag=True,
    help="Say that objects of these classes may be unmarked in some pictures.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of all random numbers."
)
@click.option("--restart", is_flag=True, help="Begin again instead of going on with a run that was stopped.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def teach(
    data: Path,
    name: str,
    base: str,
    classes: str | None,
    minutes: float,
    partly_marked: bool,
    seed: int,
    restart: bool,
    as_json: bool,
) -> None:
    """Teach a model new classes from a few pictures, on this machine's processor or GPU.

    Installs two models: NAME, which finds the new classes alone, and BASE-with-NAME, which finds those of the
    base as well. Prints how good it is on pictures that it has not learned from. Neither becomes the default.

    A run that was stopped goes on with the same command.
    """
    wanted = tuple(label for one in (classes or "").split(",") if (label := one.strip()))
    lesson = Lesson(data, base, name, wanted, minutes, seed, partly_marked)
    os.nice(_NICENESS)
    for number in (signal.SIGINT, signal.SIGTERM):  # the first is ignored in the background of a shell
        signal.signal(number, signal.default_int_handler)
    listener = _Lines()
    try:
        card = run(lesson, Settings.from_environment(), listener, restart=restart)
    except KeyboardInterrupt:
        listener.end()
        click.echo("Stopped. The same command goes on from here.", err=True)
        raise SystemExit(130) from None
    listener.end()
    click.echo(json.dumps(card.to_json(), indent=2) if as_json else in_words(card))


class _Lines:
    """Shows a run on standard error: on a terminal one line that changes, else a line now and then."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._next = 0.0
        self._has_line = False

    def say(self, text: str) -> None:
        self.end()
        click.echo(text, err=True)

    def progress(self, what: str, part: float, seconds_left: float | None, loss: float | None) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (0.5 if self._is_terminal else _SECONDS_BETWEEN_LINES)
        text = what
        if seconds_left is not None and loss is not None:
            text = f"{what}: {part:4.0%}, loss {loss:.2f}, {clock(seconds_left)} left"
        if self._is_terminal:
            click.echo(f"\r{text:60}", nl=False, err=True)
            self._has_line = True
        else:
            click.echo(text, err=True)

    def proven(self, part: float, loss: float, ap50: float, ap: float) -> None:
        self.say(f"At {part:.0%}, loss {loss:.2f}: AP50 {ap50:.3f}, AP {ap:.3f}.")

    def end(self) -> None:
        """End the line that changes."""
        if self._has_line:
            click.echo(err=True)
            self._has_line = False
