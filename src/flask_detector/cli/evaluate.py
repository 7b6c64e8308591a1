"""``flask-detector evaluate``: how well a model does on annotated pictures."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

from flask_detector import evaluation
from flask_detector.cli.inputs import printable
from flask_detector.cli.progress import PictureProgress
from flask_detector.detectors import load_detector
from flask_detector.errors import DetectorError
from flask_detector.imaging.limits import Limits
from flask_detector.settings import Settings
from flask_detector.structures.detections import Detections


@click.command()
@click.option(
    "--annotations",
    "annotations_file",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Annotations, a JSON file in COCO format.",
)
@click.option(
    "--images",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the annotated pictures.",
)
@click.option("--model", default="auto", show_default=True, help="See 'flask-detector models' for the list.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Use only the first N pictures, by id."
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Minimum score to count. A higher one lowers the figures.",
)
@click.option("--categories", is_flag=True, help="Also print the AP of each category.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(
    annotations_file: Path,
    folder: Path,
    model: str,
    limit: int | None,
    min_score: float,
    categories: bool,
    as_json: bool,
) -> None:
    """Measure the COCO AP of a model on annotated pictures.

    Categories are matched to the model's classes by name; categories that the model doesn't have are left
    out. Boxes are compared, and masks if both have them. Unusable pictures are reported and left out, and the
    exit status is 1.
    """
    evaluation.require_pycocotools()
    annotations = evaluation.read_annotations(annotations_file)
    settings = Settings.from_environment()
    limits = Limits.of(settings)
    detector = load_detector(model, settings=settings)
    evaluation.category_ids(annotations, detector.labels)
    found: dict[int, Detections] = {}
    chosen = annotations.images[:limit]
    try:
        with PictureProgress(len(chosen)) as progress:
            for image in chosen:
                path = evaluation.find_picture(folder, image)
                try:
                    found[image["id"]] = evaluation.detect_in(
                        path, image, lambda pixels: detector.detect(pixels, min_score=min_score), limits
                    )
                except DetectorError as error:
                    progress.print(f"{printable(str(path))}: {error}", err=True)
                progress.step()
    except KeyboardInterrupt:
        click.echo("\nStopped; nothing was measured.", err=True)
        raise SystemExit(130) from None
    if not found:
        raise DetectorError("No picture could be used.", hint="Check the folder that --images names.")
    result = evaluation.evaluate(annotations, found, detector.labels, has_masks=detector.has_masks)
    if as_json:
        form = {
            "model": detector.name,
            "pictures": len(found),
            "failed": len(chosen) - len(found),
            "min_score": min_score,
            "without_class": result.without_class,
            **{
                kind: {**result.figures[kind], "categories": result.categories[kind]}
                for kind in result.figures
            },
        }
        click.echo(json.dumps(form, indent=2))
    else:
        click.echo(f"{detector.name} on {len(found)} pictures\n")
        click.echo(_table(" " * 6, result.figures, _MEANINGS))
        if categories:
            click.echo("\n" + _table("AP of", result.categories, {}))
        if result.without_class:
            click.echo(f"\nLeft out, as the model has no such class: {', '.join(result.without_class)}")
        if detector.has_masks and not annotations.has_masks:
            click.echo("\nMasks were not measured: not every annotation has one.")
    if len(found) < len(chosen):
        raise click.exceptions.Exit(1)


_MEANINGS = {
    "AP": "average precision, IoU 0.50 to 0.95",
    "AP50": "at IoU 0.50",
    "AP75": "at IoU 0.75",
    "APs": "of small objects, under 32x32 pixels",
    "APm": "of medium objects",
    "APl": "of large objects, over 96x96 pixels",
    "AR1": "average recall with 1 detection per picture",
    "AR10": "with 10",
    "AR100": "with 100",
    "ARs": "of small objects",
    "ARm": "of medium objects",
    "ARl": "of large objects",
}


def _table(head: str, columns: Mapping[str, Mapping[str, float | None]], meanings: Mapping[str, str]) -> str:
    """Return a line for each figure, which all columns have."""
    names = list(next(iter(columns.values())))
    width = max(map(len, (head, *names)))
    lines = [f"{head:{width}}" + "".join(f"{kind:>8}" for kind in columns)]
    for name in names:
        cells = "".join(f"{_shown(column[name]):>8}" for column in columns.values())
        lines.append(f"{name:{width}}{cells}   {meanings.get(name, '')}".rstrip())
    return "\n".join(lines)


def _shown(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"
