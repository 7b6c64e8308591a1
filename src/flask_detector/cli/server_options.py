"""The options of commands that talk to a server, by default to the one on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import click

from flask_detector.client import Client
from flask_detector.errors import DetectorError
from flask_detector.settings import Settings


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --server and --api-key to a command."""
    key = click.option(
        "--api-key",
        envvar="DETECTOR_API_KEY",
        show_envvar=True,
        help="API key for the server; prefer the variable, which other users of this machine can't see.",
    )
    server = click.option(
        "--server", metavar="URL", help="The flask-detector server.  [default: the one on this machine]"
    )
    return server(key(command))


def client_of(server: str | None, api_key: str | None) -> Client:
    """Return the client of that server."""
    return Client(server or f"http://127.0.0.1:{Settings.from_environment().port}", api_key=api_key)


def save(out: Path, download: Callable[[BinaryIO], None]) -> None:
    """Write what a function writes to a file to OUT, whole or not at all; raises DetectorError."""
    partial = out.with_name(f".{out.name}.part")
    try:
        with partial.open("w+b") as file:
            download(file)
        partial.replace(out)
    except OSError as error:
        raise DetectorError(f"{out} can't be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)
