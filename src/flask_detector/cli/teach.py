"""``flask-detector teach``: a model of a user's own classes, from pictures in which they are marked."""

import json
import os
import signal
from pathlib import Path

import click

from flask_detector.cli import runs
from flask_detector.cli.server_options import client_of, server_options
from flask_detector.cli.teach_lines import Lines
from flask_detector.settings import Settings
from flask_detector.teach.lesson import DEFAULT_BASE, Lesson
from flask_detector.teach.report import in_words
from flask_detector.teach.run import teach as run

_NICENESS = 10


@click.command()
@click.option(
    "--data",
    metavar="DIR|ZIP",
    type=click.Path(exists=True, path_type=Path),
    help="A data set in the format of COCO, YOLO or another that is imported.",
)
@click.option(
    "--collection",
    metavar="ID",
    help="Instead of --data: a collection of a server, which teaches in its queue; needs an admin key.",
)
@click.option("--name", required=True, help="Name of the new model.")
@click.option(
    "--base",
    default=DEFAULT_BASE,
    show_default=True,
    help="Model to begin with: the embedded one, or an RTMDet-Ins that is installed.",
)
@click.option("--classes", metavar="a,b,c", help="Classes to teach.  [default: all that are marked]")
@click.option(
    "--minutes",
    type=click.FloatRange(0.1, 10_000),
    default=5.0,
    show_default=True,
    help="Time that it may take.",
)
@click.option(
    "--partly-marked",
    is_flag=True,
    help="Say that objects of these classes may be unmarked in some pictures.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of all random numbers."
)
@click.option("--restart", is_flag=True, help="Begin again instead of going on with a run that was stopped.")
@click.option("--detach", is_flag=True, help="With --collection: print the run's id, don't wait for its end.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@server_options
def teach(
    data: Path | None,
    collection: str | None,
    name: str,
    base: str,
    classes: str | None,
    minutes: float,
    partly_marked: bool,
    seed: int,
    restart: bool,
    detach: bool,
    as_json: bool,
    server: str | None,
    api_key: str | None,
) -> None:
    """Teach a model new classes from a few pictures, on this machine's processor or GPU, or on a server.

    Installs two models: NAME, which finds the new classes alone, and BASE-with-NAME, which finds those of the
    base as well. Prints how good it is on pictures that it has not learned from. Neither becomes the default.

    A run that was stopped goes on with the same command. On a server the run goes on without the command, and
    installs nothing by itself: see 'flask-detector runs'.
    """
    if (data is None) == (collection is None):
        raise click.UsageError("Name what to learn from: --data, or --collection of a server.")
    wanted = tuple(label for one in (classes or "").split(",") if (label := one.strip()))
    if collection is not None:
        if partly_marked or seed or restart:
            raise click.UsageError("--partly-marked, --seed and --restart go with --data.")
        client = client_of(server, api_key)
        run_of_server = client.teaching.begin(collection, name, base=base, classes=wanted, minutes=minutes)
        runs.watch(client, run_of_server, detach=detach, as_json=as_json)
        return
    if detach or server is not None or data is None:
        raise click.UsageError("--server and --detach go with --collection.")
    lesson = Lesson(data, base, name, wanted, minutes, seed, partly_marked)
    os.nice(_NICENESS)
    for number in (signal.SIGINT, signal.SIGTERM):  # the first is ignored in the background of a shell
        signal.signal(number, signal.default_int_handler)
    listener = Lines()
    try:
        card = run(lesson, Settings.from_environment(), listener, restart=restart)
    except KeyboardInterrupt:
        listener.end()
        click.echo("Stopped. The same command goes on from here.", err=True)
        raise SystemExit(130) from None
    listener.end()
    click.echo(json.dumps(card.to_json(), indent=2) if as_json else in_words(card))
