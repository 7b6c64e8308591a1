"""`flask-detector collections import`: a data set of another program goes into a collection of a server."""

import json
import sys
from pathlib import Path
from typing import Final

import click

from flask_detector.cli.server_options import client_of, server_options
from flask_detector.client import Refused
from flask_detector.datasets import Remark, open_dataset
from flask_detector.errors import CollectionFull, DetectorError, UnknownCollection
from flask_detector.formats.file_names import shown_name
from flask_detector.imaging.limits import Limits
from flask_detector.settings import Settings

_LISTED: Final = 20
# After these the next picture would be refused as well.
FINAL_REFUSALS: Final = {CollectionFull.code, UnknownCollection.code}


@click.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--into", metavar="ID", help="The collection.  [default: a new one]")
@click.option("--name", help="The name of a new collection.  [default: the name of PATH]")
@click.option("--json", "as_json", is_flag=True, help="Print what became of the data set as JSON.")
@server_options
def import_(
    path: Path, into: str | None, name: str | None, as_json: bool, server: str | None, api_key: str | None
) -> None:
    """Put the data set PATH, a folder or a ZIP, into a collection.

    COCO, YOLO, Pascal VOC, LabelMe, CVAT 1.1 and Label Studio are recognised by the content of the files.
    The server gets picture by picture with its objects; the same again is one picture, so an interrupted
    import goes on if it is repeated with --into.

    Exit status 1 if something was left out.
    """
    client = client_of(server, api_key)
    limits = Limits.of(Settings.from_environment())
    refused: list[Remark] = []
    total = added = 0
    with open_dataset(path, limits=limits) as dataset:
        id = into or client.create_collection(name or shown_name(path.stem))
        click.echo(f"Importing {dataset.format} into {client.url}/collections/{id}", err=True)
        for one in dataset:
            try:
                _, is_new = client.add_to_collection(
                    id, one.data, shown_name(one.name), one.annotations, one.split
                )
            except Refused as error:
                if error.code in FINAL_REFUSALS:
                    raise DetectorError(
                        error.message, hint=f"{total:,} pictures are in it; to go on: --into {id}"
                    ) from error
                refused.append(Remark(one.path, f"was refused: {error.message}"))
                continue
            total, added = total + 1, added + is_new
            if sys.stderr.isatty():
                click.echo(f"\r{total:,} pictures", err=True, nl=False)
    left_out = [*dataset.left_out, *refused]
    if as_json:
        form = {"collection": id, "format": dataset.format, "pictures": total, "added": added}
        lists = {"left_out": left_out, "changed": dataset.changed}
        form |= {key: [{"name": r.where, "reason": r.reason} for r in found] for key, found in lists.items()}
        click.echo(json.dumps(form, ensure_ascii=False))
    else:
        click.echo(
            f"{total:,} pictures of {dataset.format} are in the collection {id}, {added:,} of them new."
        )
        _list("Changed", dataset.changed)
        _list("Left out", left_out)
    if left_out:
        sys.exit(1)


def _list(title: str, remarks: list[Remark]) -> None:
    if remarks:
        click.echo(f"{title}:", err=True)
    for remark in remarks[:_LISTED]:
        click.echo(f"  {remark.where} {remark.reason}", err=True)
    if len(remarks) > _LISTED:
        click.echo(f"  and {len(remarks) - _LISTED:,} more; --json lists all", err=True)
