"""The command ``flask-detector``."""

import logging
import sys

import click

from flask_detector import __version__
from flask_detector.cli.detect import detect
from flask_detector.cli.explained import ExplainedGroup
from flask_detector.cli.models import models
from flask_detector.settings import Settings


@click.group(
    cls=ExplainedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="flask-detector %(version)s")
def main() -> None:
    """Detect objects in pictures: on pages, over HTTP, or right here.

    Settings are environment variables; docs/settings.md lists them.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )


main.add_command(detect)
main.add_command(models)


@main.command()
@click.option("--host", help="The address to listen on; 0.0.0.0 for every network.")
@click.option("--port", type=int, help="The port to listen on.")
def serve(host: str | None, port: int | None) -> None:
    """Run everything: Redis if none is set, workers and the web server."""
    from flask_detector.serve import Supervisor

    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    Supervisor(Settings.from_environment(**given)).run()


@main.command()
def web() -> None:
    """Run the web server alone; REDIS_URL names the Redis."""
    from flask_detector.web.server import run

    run(Settings.from_environment())


@main.command()
def worker() -> None:
    """Run one worker alone; REDIS_URL names the Redis."""
    from flask_detector.broker import check, connect
    from flask_detector.storage import open_storage
    from flask_detector.worker import main as work

    settings = Settings.from_environment()
    connection = connect(settings.required_redis_url, patient=True)
    check(connection)
    work(settings, connection, open_storage(settings))
