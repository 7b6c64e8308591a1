"""`flask-detector collections`: make, fill, list, change, export and delete collections of a server."""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import click

from flask_detector.cli.collections_import import FINAL_REFUSALS, import_
from flask_detector.cli.error_group import ExplainedGroup
from flask_detector.cli.inputs import printable
from flask_detector.cli.server_options import client_of, save, server_options
from flask_detector.client import Refused
from flask_detector.errors import DetectorError
from flask_detector.formats import FORMATS

_SECONDS_BETWEEN_LOOKS: Final = 1.0


_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=ExplainedGroup)
def collections() -> None:
    """Keep pictures with their objects on a server: collections.

    ID is a collection's, as `create` and `list` print it.
    """


collections.add_command(import_)


@collections.command("list")
@_AS_JSON
@server_options
def list_(as_json: bool, server: str | None, api_key: str | None) -> None:
    """List the collections of the API key."""
    found = client_of(server, api_key).call("GET", "/collections")["collections"]
    if as_json:
        _print(found)
        return
    if not found:
        click.echo("There are no collections. To create one: flask-detector collections create", err=True)
        return
    for one in found:
        states = ", ".join(f"{number:,} {state}" for state, number in one["states"].items())
        click.echo(f"{one['id']}  {one['pictures']:>7,}  {one['name']}  ({states})")


@collections.command()
@click.argument("name")
@click.option("--class", "classes", metavar="NAME", multiple=True, help="A class; may be repeated, in order.")
@server_options
def create(name: str, classes: tuple[str, ...], server: str | None, api_key: str | None) -> None:
    """Create a collection and print its id.

    Without an API key the id is the key to it: keep it.
    """
    form = client_of(server, api_key).call("POST", "/collections", {"name": name, "classes": list(classes)})
    click.echo(form["id"])


@collections.command()
@click.argument("id")
@_AS_JSON
@server_options
def show(id: str, as_json: bool, server: str | None, api_key: str | None) -> None:
    """Show what is in a collection: states, classes, training and validation."""
    form = client_of(server, api_key).call("GET", _path(id))
    if as_json:
        _print(form)
        return
    click.echo(f"{form['name']}: {form['pictures']:,} pictures, {form['bytes'] / 1e6:,.1f} MB")
    for title, numbers in (
        ("states", form["states"]),
        ("parts", form["splits"]),
        ("classes", {one["name"]: one["objects"] for one in form["classes"]}),
    ):
        if numbers:
            click.echo(f"  {title}: {', '.join(f'{name} {number:,}' for name, number in numbers.items())}")
    for rights, url in form["links"].items():
        click.echo(f"  shared to {rights}: {url}")


@collections.command()
@click.argument("id")
@click.argument(
    "pictures", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@server_options
def add(id: str, pictures: tuple[Path, ...], server: str | None, api_key: str | None) -> None:
    """Add PICTURES as they are, without detecting anything.

    Exit status 1 if one was refused.
    """
    client = client_of(server, api_key)
    failed = False
    for path in pictures:
        try:
            _, is_new = client.add_to_collection(id, path.read_bytes(), path.name)
        except Refused as error:
            if error.code in FINAL_REFUSALS:
                raise
            failed = True
            click.echo(f"{path}: {error.message}", err=True)
        else:
            click.echo(f"{path}: {'added' if is_new else 'was there already'}")
    if failed:
        sys.exit(1)


@collections.command()
@click.argument("id")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(FORMATS)),
    default="coco",
    show_default=True,
    help="The format.",
)
@click.option(
    "--state", type=click.Choice(["unseen", "edited", "verified"]), help="Only pictures in that state."
)
@click.option("--class", "label", metavar="NAME", help="Only pictures with an object of that class.")
@click.option(
    "--split", type=click.Choice(["train", "val", "test", "none"]), help="Only pictures of that part."
)
@server_options
def export(
    id: str,
    out: Path,
    kind: str,
    server: str | None,
    api_key: str | None,
    label: str | None,
    **choice: str | None,
) -> None:
    """Write a collection to the ZIP file OUT as a data set, with its pictures."""
    chosen = {name: value for name, value in {**choice, "class": label}.items() if value is not None}
    client = client_of(server, api_key)
    save(out, lambda file: client.download(f"{_path(id)}/exports/{kind}?{urlencode(chosen)}", file))


@collections.command()
@click.argument("id")
@click.argument("name")
@server_options
def rename(id: str, name: str, server: str | None, api_key: str | None) -> None:
    """Give a collection another name."""
    client_of(server, api_key).call("PATCH", _path(id), {"name": name})


@collections.command("rename-class")
@click.argument("id")
@click.argument("old")
@click.argument("new")
@server_options
def rename_class(id: str, old: str, new: str, server: str | None, api_key: str | None) -> None:
    """Call the class OLD by NEW in all pictures; where NEW is a class already, both become one."""
    form = client_of(server, api_key).call("POST", f"{_path(id)}/classes", {"old": old, "new": new})
    click.echo(f"Changed {form['pictures']:,} pictures.")


@collections.command("remove-class")
@click.argument("id")
@click.argument("name")
@server_options
def remove_class(id: str, name: str, server: str | None, api_key: str | None) -> None:
    """Take the class NAME out, which no object has."""
    client_of(server, api_key).call("DELETE", f"{_path(id)}/classes/{quote(name, safe='')}")


@collections.command()
@click.argument("id")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="The share for validation.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Another number parts otherwise.")
@click.option("--again", is_flag=True, help="Also pictures that belong to a part already.")
@server_options
def split(id: str, server: str | None, api_key: str | None, **options: Any) -> None:
    """Part pictures into training and validation: the same again for the same pictures."""
    splits = client_of(server, api_key).call("POST", f"{_path(id)}/split", options)["splits"]
    click.echo(", ".join(f"{name} {number:,}" for name, number in splits.items()))


@collections.command()
@click.argument("id")
@click.option("--edit", "rights", flag_value="edit", help="A link with which it can be corrected, too.")
@click.option(
    "--read", "rights", flag_value="read", default="read", help="A link to look at it (the default)."
)
@click.option("--stop", is_flag=True, help="Withdraw the link.")
@server_options
def share(id: str, rights: str, stop: bool, server: str | None, api_key: str | None) -> None:
    """Make a link to a collection and print it."""
    method = "DELETE" if stop else "POST"
    form = client_of(server, api_key).call(method, f"{_path(id)}/links/{rights}")
    if not stop:
        click.echo(form["url"])


@collections.command()
@click.argument("id")
@click.option("--yes", is_flag=True, help="Don't ask.")
@server_options
def delete(id: str, yes: bool, server: str | None, api_key: str | None) -> None:
    """Delete a collection with all of its pictures."""
    client = client_of(server, api_key)
    if not yes:
        form = client.call("GET", _path(id))
        click.confirm(f"Delete {form['name']} and its {form['pictures']:,} pictures?", abort=True, err=True)
    client.call("DELETE", _path(id))


@collections.command()
@click.argument("id")
@click.option("--model", help="[default: the newest one taught from the collection, or the server's default]")
@click.option(
    "--state", type=click.Choice(["unseen", "edited", "verified"]), help="Only pictures in that state."
)
@_AS_JSON
@server_options
def unsure(id: str, as_json: bool, server: str | None, api_key: str | None, **choice: str | None) -> None:
    """List the pictures of a collection that a model is least sure of: what to correct next.

    First has it look at those that it has not looked at, one by one behind all detections of the server.
    """
    client = client_of(server, api_key)
    path = f"{_path(id)}/doubts?{urlencode({key: value for key, value in choice.items() if value})}"
    form = client.call("POST", path)
    while form["left"]:
        if sys.stderr.isatty():
            click.echo(f"\r{form['left']:,} pictures to go ", err=True, nl=False)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        form = client.call("GET", path)
    if form["error"] is not None:
        raise DetectorError(form["error"]["message"], hint=form["error"]["hint"])
    if as_json:
        _print(form["pictures"])
        return
    for one in form["pictures"]:
        click.echo(f"{one['doubt']:7.2f}  {one['id']}  {printable(one['filename'])}")


def _path(id: str) -> str:
    return f"/collections/{quote(id, safe='')}"


def _print(form: Any) -> None:
    click.echo(json.dumps(form, indent=2, ensure_ascii=False))
