"""`flask-detector models`: list, download, add and remove models."""

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from flask_detector.cli.error_group import ExplainedGroup
from flask_detector.cli.model_list import Row, form_of, remarks, table
from flask_detector.cli.progress import ModelProgress
from flask_detector.detectors import ModelStore, Stage, model_store
from flask_detector.detectors.zoo import custom
from flask_detector.detectors.zoo.download import in_words
from flask_detector.detectors.zoo.registry import Embedded
from flask_detector.errors import BadParameter, DetectorError, ModelNotInstalled
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.process import logs
from flask_detector.service.child import FAILED_AND_REPORTED, NEXT_ATTEMPT_VARIABLE
from flask_detector.settings import Settings
from flask_detector.structures.labels import plural

log = logging.getLogger(__name__)


@click.group(cls=ExplainedGroup, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List models; download, add and remove their weights.

    AP is the average precision on COCO val2017, in percent, as published by the model's authors. SECONDS is
    the time per picture on this machine, if measured.
    """
    settings = Settings.from_environment()
    store = ctx.find_object(ModelStore)
    if store is None:
        store = ctx.obj = model_store(settings)
    if ctx.invoked_subcommand is not None:
        return
    default = store.default() if settings.model == "auto" else settings.model
    rows = [Row(info, store.state(info.name), store.seconds(info.name)) for info in store.known()]
    if as_json:
        click.echo(json.dumps([form_of(row, default) for row in rows], indent=2))
    else:
        click.echo(table(rows, default))
        for line in remarks(rows, default):
            click.echo(line)


@models.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--log", "as_log", is_flag=True, help="Report progress as log lines, as a service does.")
@click.pass_obj
def pull(store: ModelStore, names: tuple[str, ...], as_log: bool) -> None:
    """Download and convert the weights of models.

    An interrupted download is resumed. DETECTOR_MIRROR_URL sets another server, HTTPS_PROXY a proxy.
    """
    settings = Settings.from_environment()
    if as_log:
        logs.set_up(settings.log_format, "fetch")
    for name in names:
        store.info(name)
    if not as_log:
        for name in names:
            _pull(store, name, settings.mirror_url, None)
        return
    # In the background, a failed download does not stop the others.
    failures = []
    for name in names:
        try:
            _pull(store, name, settings.mirror_url, log.info)
        except ModelNotInstalled as cancelled:
            log.info("%s", cancelled.message)
        except DetectorError as error:
            failures.append(error.message)
    if failures:
        log.warning("%s %s", " ".join(dict.fromkeys(failures)), _next_try())
        raise SystemExit(FAILED_AND_REPORTED)


def _next_try() -> str:
    moment = time.localtime(time.time() + float(os.environ.get(NEXT_ATTEMPT_VARIABLE, "0")))
    return f"Next attempt at {time.strftime('%H:%M', moment)}; set DETECTOR_OFFLINE=1 to disable downloads."


def _pull(store: ModelStore, name: str, mirror_url: str | None, say: Callable[[str], None] | None) -> None:
    try:
        with ModelProgress(name, say=say) as progress:
            store.install(name, mirror_url=mirror_url, on_progress=progress)
    except KeyboardInterrupt:
        _report_interrupted(store, name)
        raise SystemExit(130) from None
    state = store.state(name)
    what = "is built in" if state.stage is Stage.EMBEDDED else "is installed"
    told = f"The model {name} {what}."
    if say is None:
        click.echo(told, err=True)
    else:
        say(told)


@models.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--variant", help="Variant or family of a model whose file does not specify it, e.g. mmdet-pytorch."
)
@click.option("--labels", metavar="FILE|a,b,c", help="Class names, in the order of the training.")
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="Inference option: as in torchvision's constructor, e.g. min_size=640; of ONNX e.g. bgr=true. May "
    "be repeated.",
)
@click.pass_obj
def add(
    store: ModelStore,
    name: str,
    file: Path,
    variant: str | None,
    labels: str | None,
    options: tuple[str, ...],
) -> None:
    """Add a model from a local weights FILE.

    If NAME is in the list, the file must be the published one. Any other NAME adds a custom model: a Mask
    R-CNN R-50 FPN of MMDetection, torchvision or Detectron2, an RTMDet or a NanoDet-g, for example one
    that you fine-tuned; or a detector that another program exported as ONNX or for OpenVINO. Prints what the
    file was recognised as, its class names, and what was assumed.
    """
    with ModelProgress(name) as progress:
        reading = store.add(
            name,
            file,
            variant=variant,
            labels=custom.labels_from(labels) if labels else (),
            options=custom.options_from(options),
            on_progress=progress,
        )
    click.echo(f"The model {name} is installed.", err=True)
    click.echo(f"{reading.title}, {_counted(len(reading.labels), 'class')}: {', '.join(reading.labels)}.")
    if reading.licence != "not stated":
        click.echo(f"Its licence, as the file says: {reading.licence}.")
    for note in reading.notes:
        click.echo(note)


def _counted(number: int, word: str) -> str:
    return f"{number} {plural(word, number)}"


@models.command()
@click.argument("name")
@click.argument("picture", type=click.Path(path_type=Path))
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="Minimum score to keep.  [default: depends on the model]"
)
@click.pass_obj
def check(store: ModelStore, name: str, picture: Path, min_score: float | None) -> None:
    """Print what the model NAME finds in a PICTURE.

    If its file did not tell how it is to be read, prints what it finds in each way: the right one finds what
    is there, with high scores.
    """
    if isinstance(store.info(name).source, Embedded):
        raise BadParameter(
            f"The model {name} is part of the program.",
            hint="See what it finds with: flask-detector detect --model NAME",
        )
    graphs = store.ready(name)
    try:
        data = picture.read_bytes()
    except OSError as error:
        raise BadParameter(f"{picture} can't be read: {error.strerror}.", hint="Check the path.") from error
    pixels, _ = decode.decode(data, Limits.of(Settings.from_environment()))
    from flask_detector.detectors.trial import outcomes

    for outcome in outcomes(graphs, pixels, min_score=min_score):
        use = "in use" if outcome.is_used else f"add with {outcome.how} to use it"
        click.echo(f"{outcome.reading} ({use}): {_counted(len(outcome.found), 'detection')}")
        for instance in outcome.found:
            box = " ".join(f"{side:.0f}" for side in instance.box)
            click.echo(f"  {instance.score:.2f}  {instance.label}  {box}")


@models.command()
@click.argument("name")
@click.pass_obj
def remove(store: ModelStore, name: str) -> None:
    """Delete the files of the model NAME."""
    store.remove(name)
    click.echo(f"The model {name} is removed.", err=True)


@models.command()
@click.argument("name")
@click.pass_obj
def path(store: ModelStore, name: str) -> None:
    """Print the path of the weights of the model NAME."""
    click.echo(str(store.path(name)))


@models.command()
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Folder for the files.  [default: the current one]",
)
@click.pass_obj
def export(store: ModelStore, name: str, out: Path) -> None:
    """Write the model NAME as NAME.onnx and NAME.safetensors.

    The ONNX of NanoDet-g has the form of a YOLO's, that of RTMDet-Ins the one in which MMDeploy exports it,
    with masks. The other file has the weights in the layout of the model's authors. No other models can be
    exported; taught ones can.
    """
    from flask_detector.teach.run import require_packages

    require_packages()
    from flask_detector.teach.export import export as run

    for file in run(name, store, out):
        click.echo(str(file))


def _report_interrupted(store: ModelStore, name: str) -> None:
    state = store.state(name)
    kept = f" {in_words(state.done)} are kept." if state.stage is Stage.ABSENT and state.done else ""
    click.echo(f"Stopped.{kept} To resume: flask-detector models pull {name}", err=True)
