"""How far a run of teaching is, on standard error."""

import sys
import time

import click

from flask_detector.teach.report import clock

_SECONDS_BETWEEN_LINES = 10.0


class Lines:
    """Shows a run on standard error: on a terminal one line that changes, else a line now and then."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._next = 0.0
        self._has_line = False

    def say(self, text: str) -> None:
        """Write a whole line."""
        self.end()
        click.echo(text, err=True)

    def progress(self, what: str, part: float, seconds_left: float | None, loss: float | None) -> None:
        """Say how far it is, in 0..1, unless that was said just now."""
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
        """Say what the unfinished model reaches."""
        self.say(f"At {part:.0%}, loss {loss:.2f}: AP50 {ap50:.3f}, AP {ap:.3f}.")

    def end(self) -> None:
        """End the line that changes."""
        if self._has_line:
            click.echo(err=True)
            self._has_line = False
