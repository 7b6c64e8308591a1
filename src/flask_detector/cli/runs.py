"""``flask-detector runs``: runs of teaching on a server, listed, followed, cancelled; their models, added."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from flask_detector.cli.error_group import ExplainedGroup
from flask_detector.cli.server_options import client_of, save, server_options
from flask_detector.cli.teach_lines import Lines
from flask_detector.client import Client
from flask_detector.errors import TeachingError
from flask_detector.teach.report import Card, in_words

_INTERRUPTED = 130
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=ExplainedGroup)
def runs() -> None:
    """Follow runs of teaching on a server, and add what came of them.

    'flask-detector teach --collection ID' begins one. They are for administrators: needs such an API key.
    """


@runs.command("list")
@_AS_JSON
@server_options
def list_(as_json: bool, server: str | None, api_key: str | None) -> None:
    """List all runs, the newest first."""
    found = client_of(server, api_key).teaching.all()
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo(
            "Nothing was taught yet. To begin: flask-detector teach --collection ID --name NAME", err=True
        )
    for run in found:
        added = ", added" if "installed" in run["models"].values() else ""
        click.echo(f"{run['id']}  {run['status']:<9}  {run['name']} from {run['base']}{added}")


@runs.command()
@click.argument("id")
@_AS_JSON
@server_options
def follow(id: str, as_json: bool, server: str | None, api_key: str | None) -> None:
    """Follow a run to its end, and print how good its model is."""
    client = client_of(server, api_key)
    watch(client, client.teaching.find(id), detach=False, as_json=as_json)


@runs.command()
@click.argument("id")
@server_options
def cancel(id: str, server: str | None, api_key: str | None) -> None:
    """Cancel a run that has not ended."""
    client = client_of(server, api_key)
    if client.teaching.find(id)["status"] not in {"queued", "running"}:
        raise TeachingError("This run has ended.", hint="To delete it: flask-detector runs delete ID")
    client.teaching.stop(id)


@runs.command("go-on")
@click.argument("id")
@server_options
def go_on(id: str, server: str | None, api_key: str | None) -> None:
    """Let a run that failed go on from its last checkpoint."""
    client_of(server, api_key).teaching.try_again(id)


@runs.command()
@click.argument("id")
@server_options
def add(id: str, server: str | None, api_key: str | None) -> None:
    """Add the model of a run, and its pair with the base, to the models of the server."""
    run = client_of(server, api_key).teaching.add(id)
    click.echo(f"Adding {run['name']} and {run['pair']}. Neither becomes the default.")


@runs.command()
@click.argument("id")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@server_options
def download(id: str, out: Path, server: str | None, api_key: str | None) -> None:
    """Write the model of a run to the file OUT, for 'flask-detector models add' elsewhere."""
    client = client_of(server, api_key)
    save(out, lambda file: client.teaching.download(id, file))


@runs.command()
@click.argument("id")
@server_options
def delete(id: str, server: str | None, api_key: str | None) -> None:
    """Delete a run that has ended, with its report; models that were added stay."""
    client = client_of(server, api_key)
    if client.teaching.find(id)["status"] in {"queued", "running"}:
        raise TeachingError("This run has not ended.", hint="To cancel it: flask-detector runs cancel ID")
    client.teaching.stop(id)


def watch(client: Client, run: dict[str, Any], *, detach: bool, as_json: bool) -> None:
    """Follow a run to its end and print its card; with `detach` print its id alone.

    Ctrl-C asks whether the run is to be cancelled, where a person can answer.

    Raises TeachingError for a run that fails, and what the client raises.
    """
    id = run["id"]
    if detach:
        click.echo(id)
        return
    shown = _Shown()
    click.echo(f"Run {id}: {client.url}/admin/teach/{id}", err=True)
    try:
        run = client.teaching.follow(id, shown.look)
    except KeyboardInterrupt:
        shown.lines.end()
        _interrupted(client, id)
    shown.lines.end()
    if run["status"] == "cancelled":
        raise TeachingError("The run was cancelled.")
    if run["error"] is not None:
        raise TeachingError(
            run["error"]["message"],
            hint=f"{run['error']['hint']} To go on: flask-detector runs go-on {id}".strip(),
        )
    click.echo(json.dumps(run["card"], indent=2) if as_json else in_words(Card.from_json(run["card"])))
    if "installed" not in run["models"].values():
        click.echo(f"To add it to the models: flask-detector runs add {id}", err=True)


def _interrupted(client: Client, id: str) -> None:
    """Ask whether the run is to end with the command."""
    if sys.stdin.isatty() and click.confirm("It goes on without this command. Cancel the run?", err=True):
        client.teaching.stop(id)
        click.echo("Cancelled.", err=True)
    else:
        click.echo(
            f"The run goes on. To follow it: flask-detector runs follow {id}\n"
            f"To cancel it: flask-detector runs cancel {id}",
            err=True,
        )
    raise SystemExit(_INTERRUPTED)


class _Shown:
    """What of a run was shown already."""

    def __init__(self) -> None:
        self.lines = Lines()
        self._said = self._proven = 0

    def look(self, run: dict[str, Any]) -> None:
        """Show what is new of a run."""
        now = run["progress"]
        for text in now["remarks"][self._said :]:
            self.lines.say(text)
        for part, ap50, ap in now["proven"][self._proven :]:
            self.lines.say(f"At {part:.0%}: AP50 {ap50:.3f}, AP {ap:.3f}.")
        self._said, self._proven = len(now["remarks"]), len(now["proven"])
        if run["status"] == "queued":
            before = run["position"]
            what = f"{before} before it in the queue" if before else "It is the next one in the queue"
        else:
            what = now["what"] or "Starting PyTorch"
        loss = now["losses"][-1][1] if now["losses"] else None
        self.lines.progress(what, now["part"], now["seconds_left"], loss)
