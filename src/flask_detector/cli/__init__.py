"""The command ``flask-detector``. Each command is imported when it is used."""

import logging
import os
from importlib import import_module

import click

from flask_detector._version import __version__
from flask_detector.cli.error_group import ExplainedGroup
from flask_detector.process import logs

_COMMANDS = {
    "serve": "flask_detector.cli.serve",
    "web": "flask_detector.cli.serve",
    "worker": "flask_detector.cli.serve",
    "detect": "flask_detector.cli.detect",
    "evaluate": "flask_detector.cli.evaluate",
    "collections": "flask_detector.cli.collections",
    "annotations": "flask_detector.cli.annotations",
    "teach": "flask_detector.cli.teach",
    "runs": "flask_detector.cli.runs",
    "models": "flask_detector.cli.models",
    "keys": "flask_detector.cli.keys",
    "doctor": "flask_detector.cli.doctor",
}


_SERVICES = ("serve", "web", "worker")


class _Commands(ExplainedGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(_COMMANDS[cmd_name]), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Set up logging before the command is imported, so that a failing import is logged too.

        Only services choose JSON by themselves; other commands are for people unless it is asked for.
        """
        log_format = os.environ.get("DETECTOR_LOG_FORMAT", "")
        if args[0] in _SERVICES or (log_format == "json" and args[0] in _COMMANDS):
            logs.set_up(log_format, args[0])
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="flask-detector %(version)s")
def main() -> None:
    """Detect objects in pictures: in the browser, over HTTP, or from the command line.

    Settings are environment variables; docs/settings.md lists them.
    """
    # Does nothing where logging is set up already.
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
