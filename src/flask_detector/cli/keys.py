"""`flask-detector keys`: create, list and revoke API keys."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime

import click

from flask_detector.api_keys import Keys, Scope
from flask_detector.cli.error_group import ExplainedGroup


@click.group(cls=ExplainedGroup)
def keys() -> None:
    """Create, list and revoke API keys.

    Keys are stored in the Redis that REDIS_URL names, or else in the one that `serve` starts.
    """


@contextmanager
def _known() -> Iterator[Keys]:
    """Return the keys of the installation."""
    from flask_detector.broker.connection import check
    from flask_detector.errors import BrokerUnavailable
    from flask_detector.service.launch import connect_to_installation
    from flask_detector.settings import Settings

    settings = Settings.from_environment()
    with connect_to_installation(settings) as connection:
        try:
            check(connection)
        except BrokerUnavailable as error:
            if settings.redis_url is not None:
                raise
            raise BrokerUnavailable(
                f"No flask-detector is running with the data folder {settings.data_dir}.",
                hint="Start 'flask-detector serve', or set DETECTOR_DATA_DIR or REDIS_URL as the running "
                "server has them.",
            ) from error
        yield Keys(connection)


@keys.command()
@click.option("--name", default="", help="A name for the key, such as who uses it.")
@click.option("--admin", is_flag=True, help="Also allow access to the admin page and metrics.")
def create(name: str, admin: bool) -> None:
    """Create a key and print it. It is shown only once."""
    with _known() as known:
        key, text = known.create(name, Scope.ADMIN if admin else Scope.USE)
        secret = known.webhook_secret(key.id)
    click.echo(text)
    click.echo(
        f"Created key {key.id}. It is not stored and can't be shown again: save it now.\n"
        f"Webhook signing secret: {secret}",
        err=True,
    )


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def list_keys(as_json: bool) -> None:
    """List keys without their secrets."""
    with _known() as known:
        found = known.list()
    if as_json:
        click.echo(json.dumps([asdict(key) for key in found], indent=2, default=datetime.isoformat))
        return
    if not found:
        click.echo("There are no keys. To create one: flask-detector keys create", err=True)
        return
    rows = [["ID", "SCOPE", "CREATED", "LAST USED", "NAME"]]
    rows += [[k.id, k.scope, _day(k.created_at), _day(k.last_used_at), k.name] for k in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@keys.command()
@click.argument("id")
def revoke(id: str) -> None:
    """Revoke the key ID. Its detections are kept until they expire."""
    with _known() as known:
        known.revoke(id)
    click.echo(f"The key {id} is revoked.", err=True)


@keys.command("webhook-secret")
@click.argument("id", required=False)
def webhook_secret(id: str | None) -> None:
    """Print a webhook signing secret.

    That of the key ID, or if omitted, that of requests without a key.
    """
    with _known() as known:
        click.echo(known.webhook_secret(id))


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else moment.strftime("%Y-%m-%d %H:%M")
