"""`flask-detector annotations`: get and correct the objects of a detection."""

import json
from typing import IO

import click

from flask_detector.cli.error_group import ExplainedGroup
from flask_detector.cli.server_options import client_of, server_options
from flask_detector.errors import BadAnnotations

_VERSION = "etag"


@click.group(cls=ExplainedGroup)
def annotations() -> None:
    """Get and correct the objects of a detection on a server.

    ID is that of a detection, or COLLECTION/pictures/PICTURE.
    """


@annotations.command()
@click.argument("id")
@server_options
def get(id: str, server: str | None, api_key: str | None) -> None:
    """Print the objects of ID as JSON, as they were corrected.

    Its `etag` tells which version it is.
    """
    document, version = client_of(server, api_key).annotations(id)
    click.echo(json.dumps({_VERSION: version, **document}, ensure_ascii=False, indent=2))


@annotations.command()
@click.argument("id")
@click.argument("file", type=click.File("rb"))
@click.option("--force", is_flag=True, help="Also replace what was changed since.")
@server_options
def put(id: str, file: IO[bytes], force: bool, server: str | None, api_key: str | None) -> None:
    """Save the objects in FILE (- for standard input) as those of ID.

    They are refused if they were changed on the server since `get`, or a field is wrong.
    """
    try:
        document = json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise BadAnnotations("The file is not JSON that can be read.", field="") from error
    version = document.pop(_VERSION, None) if isinstance(document, dict) else None
    if not (force or isinstance(version, str)):
        raise click.UsageError("The file has no etag, as 'get' writes it; --force replaces what is there.")
    kept, _ = client_of(server, api_key).save_annotations(id, document, "*" if force else str(version))
    click.echo(f"{len(kept.get('objects', [])):,} objects are saved.", err=True)
