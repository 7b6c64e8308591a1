"""How a command tells that it failed: what is the matter, what to do, and exit status 1."""

from typing import IO, Any

import click

from flask_detector.errors import DetectorError


class ExplainedGroup(click.Group):
    """A group of commands whose DetectorErrors are shown as message and hint, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except DetectorError as error:
            raise _Explained(error) from error


class _Explained(click.ClickException):
    def __init__(self, error: DetectorError) -> None:
        super().__init__(error.message)
        self._hint = error.hint

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.message}", file=file, err=file is None)
        if self._hint:
            click.echo(self._hint, file=file, err=file is None)
