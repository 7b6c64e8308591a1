"""The models that a user added: each described by a small file beside its weights."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from flask_detector.detectors.zoo.install_state import write_json
from flask_detector.detectors.zoo.registry import Added, Architecture, ModelInfo
from flask_detector.errors import BadParameter, CheckpointError
from flask_detector.structures.labels import LONGEST, problem_of

FILE_NAME = "model.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = {"auto", "teach"}
_LONGEST_FILE = 1 << 20


def check_name(name: str) -> None:
    """Raise BadParameter unless a model can have that name, which also names its folder."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise BadParameter(
            f"A model can't be called '{name}'.",
            hint="Use up to 64 letters, digits, '-', '_' and '.', a letter or digit first; "
            "'auto' and 'teach' are taken.",
        )


def check_labels(labels: Sequence[str]) -> None:
    """Raise CheckpointError unless each class has a name of its own that can be shown and written."""
    for number, label in enumerate(labels, 1):
        problem = problem_of(label)
        if problem is None and (first := labels.index(label) + 1) < number:
            problem = f"is that of class {first}, too: '{label}'"
        if problem is not None:
            raise CheckpointError(
                f"The name of class {number} {problem}.",
                hint=f"Names must differ and be one line of at most {LONGEST} characters; set others with "
                "--labels.",
            )


def labels_from(text: str) -> tuple[str, ...]:
    """Return the names of classes that a user gives: separated by commas, or a file.

    A file has one name a line, empty ones at its end aside, or in JSON a list, or a dict of ids.

    Raises BadParameter for a file that can't be read.
    """
    file = Path(text)
    if "," in text or not file.is_file():
        return tuple(label.strip() for label in text.split(","))
    try:
        if file.stat().st_size > _LONGEST_FILE:
            raise BadParameter(f"{file} is too long for a list of names.", hint="Write one name per line.")
        lines = file.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeError) as error:
        raise BadParameter(
            f"The names of the classes can't be read from {file}.", hint="Write one name per line, in UTF-8."
        ) from error
    if not lines:
        raise BadParameter(f"{file} has no names in it.", hint="Write one name per line.")
    return _from_json(lines) or tuple(line.strip() for line in lines)


def _from_json(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the names that a file in JSON has; none where it is something else."""
    try:
        found = json.loads("\n".join(lines))
        if isinstance(found, dict):
            found = [found[key] for key in sorted(found, key=int)]
    except (ValueError, RecursionError):
        return ()
    return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else ()


def options_from(texts: Iterable[str]) -> dict[str, str]:
    """Return options that are written NAME=VALUE. Raises BadParameter for what is not."""
    options = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise BadParameter(
                f"'{text}' is not an option.", hint="Write NAME=VALUE, for example min_size=640."
            )
        options[name.strip()] = value.strip()
    return options


def own_model(
    name: str,
    source: Added,
    variant: str | None,
    architecture: Architecture = "mask-rcnn",
    *,
    has_masks: bool = True,
    licence: str = "not stated",
) -> ModelInfo:
    """Return the description of a user's own model; its kind is known once it is converted."""
    return ModelInfo(
        name=name,
        title=name,
        what=f"Added from {source.original_name}.",
        architecture=architecture,
        variant=variant,
        licence=licence,
        has_masks=has_masks,
        source=source,
    )


def record(folder: Path, info: ModelInfo) -> None:
    """Make an own model known: write its description into its folder."""
    form = {name: getattr(info, name) for name in ("architecture", "variant", "has_masks", "licence")}
    write_json(folder / FILE_NAME, {**form, "source": asdict(info.source)})


def is_one(folder: Path) -> bool:
    """Tell whether a model's folder holds an own one."""
    return (folder / FILE_NAME).is_file()


def read_all(folder: Path) -> dict[str, ModelInfo]:
    """Return the own models among the folders in `folder`, by name; unreadable descriptions are left out."""
    found = {}
    for file in sorted(folder.glob(f"*/{FILE_NAME}")):
        name = file.parent.name
        try:
            form = json.loads(file.read_text(encoding="utf-8"))
            architecture = form.get("architecture", "mask-rcnn")
            found[name] = own_model(
                name,
                Added(**form["source"]),
                form["variant"],
                architecture,
                # Earlier versions did not write these.
                has_masks=form.get("has_masks", architecture not in {"rtmdet", "nanodet"}),
                licence=form.get("licence", "not stated"),
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
