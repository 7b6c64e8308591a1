"""How commands report errors: message, hint, and exit status 1."""

import logging
from typing import IO, Any, NoReturn

import click

from flask_detector.errors import DetectorError
from flask_detector.process import logs

log = logging.getLogger(__name__)


class ExplainedGroup(click.Group):
    """A group of commands whose DetectorErrors are shown as message and hint, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except DetectorError as error:
            if logs.is_json():
                _log(error.message, 1, code=error.code, hint=error.hint)
            raise _Explained(error) from error
        except click.ClickException as error:
            if logs.is_json():
                _log(error.format_message(), error.exit_code)
            raise


def _log(message: str, status: int, **facts: str) -> NoReturn:
    """Log an error and exit."""
    log.critical("%s", message, extra=logs.facts(**facts))
    raise SystemExit(status)


class _Explained(click.ClickException):
    def __init__(self, error: DetectorError) -> None:
        super().__init__(error.message)
        self._hint = error.hint

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.message}", file=file, err=file is None)
        if self._hint:
            click.echo(self._hint, file=file, err=file is None)
