"""Progress on standard error: a bar on a terminal, else a line every few seconds."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import click

from flask_detector.detectors.zoo.download import in_words
from flask_detector.detectors.zoo.install_state import ModelState, Stage

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_LOG_LINES = 60.0
_VERBS = {Stage.DOWNLOADING: "Downloading", Stage.CONVERTING: "Converting"}


class ModelProgress:
    """Shows the states of one model; call it with each.

    say: writes a log line, rarely and not for each attempt of a download; None for a bar on a terminal and
    plain lines elsewhere.

    A context manager: leaving it ends the bar's line.
    """

    def __init__(self, name: str, *, say: Callable[[str], None] | None = None) -> None:
        self._name = name
        self._say = say or _echo
        self._is_log = say is not None
        self._last: ModelState | None = None
        self._line_at = 0.0
        self._bar: Any = None
        self._watched = say is None and sys.stderr.isatty()

    def __call__(self, state: ModelState) -> None:
        """Show the state."""
        begins = self._last is None or self._last.stage is not state.stage
        if self._watched:
            self._show_bar(state, begins=begins)
        else:
            self._show_line(state, begins=begins)
        self._last = state

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()

    def _show_bar(self, state: ModelState, *, begins: bool) -> None:
        if begins:
            self._end_bar()
            self._bar = click.progressbar(
                length=state.total or 1,
                label=f"{_VERBS[state.stage]} {self._name}",
                file=sys.stderr,
                show_percent=True,
                item_show_func=lambda shown: None if shown is None else _amount(shown),
                bar_template="%(label)s [%(bar)s] %(info)s",
                width=24,
            )
            self._bar.__enter__()
        self._bar.length = state.total or max(state.done, 1)
        self._bar.update(state.done - self._bar.pos, state)

    def _show_line(self, state: ModelState, *, begins: bool) -> None:
        now = time.monotonic()
        noted = bool(state.note) and (self._last is None or self._last.note != state.note)
        if self._is_log:
            due = not state.note and (begins or now - self._line_at >= _SECONDS_BETWEEN_LOG_LINES)
        else:
            due = begins or noted or now - self._line_at >= _SECONDS_BETWEEN_LINES
        if due:
            self._say(f"{_VERBS[state.stage]} {self._name}: {_amount(state)}")
            self._line_at = now

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


def _echo(line: str) -> None:
    click.echo(line, err=True)


def _amount(state: ModelState) -> str:
    if state.stage is Stage.CONVERTING:
        text = f"{state.done}%"
    elif state.total is None:
        text = in_words(state.done)
    else:
        text = f"{in_words(state.done)} of {in_words(state.total)}"
    return f"{text}; {state.note}" if state.note else text


class PictureProgress:
    """A bar on a terminal, and lines above it.

    A context manager: leaving it ends the bar's line.
    """

    def __init__(self, total: int) -> None:
        self._bar: Any = None
        if total > 1 and sys.stderr.isatty():
            self._bar = click.progressbar(
                length=total, label="Detecting", file=sys.stderr, show_pos=True, width=24
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    def print(self, text: str, *, err: bool = False) -> None:
        """Print a line on standard output or standard error; `step` shows the bar again below it."""
        if self._bar is not None:
            click.echo("\r\x1b[2K", nl=False, err=True)
        click.echo(text, err=err)

    def step(self) -> None:
        """Count one more picture."""
        if self._bar is not None:
            self._bar.update(1)
