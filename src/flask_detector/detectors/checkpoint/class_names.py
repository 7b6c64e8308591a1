"""What a model's classes are called: as the user says, as the file says, or by numbers."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_detector.detectors.checkpoint.mmdet_config import config_of
from flask_detector.detectors.coco_labels import (
    COCO_LABELS,
    COCO_NUMBERS,
    UNUSED_COCO_NUMBERS,
    USED_COCO_NUMBERS,
)
from flask_detector.errors import BadParameter

# Under these keys programs keep the names: MMDetection 2 and 3, Detectron2, Hugging Face and people.
_KEYS = (
    "CLASSES",
    "classes",
    "class_names",
    "thing_classes",
    "names",
    "categories",
    "id2label",
    "labels",
    "label2id",
)

# Where such keys stand, besides at the top.
_PLACES = (
    "meta", "dataset_meta", "metadata", "config", "cfg", "args", "hyper_parameters", "hparams", "data",
)  # fmt: skip

_BACKGROUND = {"__background__", "background", "_background_", "bg", "__ignore__"}

_NO_NAME = {"n/a", ""}


@dataclass(frozen=True)
class ClassNames:
    """The names of a model's classes.

    labels: by class id. classes: for each class of the network (without the background), its class id.
    note: where they are from, for people.
    """

    labels: tuple[str, ...]
    classes: tuple[int, ...]
    note: str


def class_names(
    meta: Mapping[str, Any], classes: int, *, given: Sequence[str] = (), background_first: bool
) -> ClassNames:
    """Return the names of a network's classes.

    classes: how many the network has, without the background.
    given: what the user says; the background may be among them.
    background_first: the network counts the background as class 0, and so do ids in the file.

    Raises BadParameter where the user gives another number of names.
    """
    if given:
        names = _fitting(list(given), classes, background_first)
        if names is None:
            raise BadParameter(
                f"The model has {classes} classes, and {len(given)} names are given for them.",
                hint="Give one name for each class, in the order of its training.",
                field="labels",
            )
        return _named(names, "The class names are those given.")
    # A word alone may mean anything, unless there is one class.
    found = [names for names in _named_in(meta) if len(names) > 1 or classes == 1]
    for names in (_fitting(one, classes, background_first) for one in found):
        if names is not None and any(name.lower() in _NO_NAME for name in names) and classes == COCO_NUMBERS:
            return _coco(classes, "The class names are COCO's, as the file says.")
        if names is not None:
            return _named(names, "The class names come from the file.")
    return _unnamed(meta, classes, len(found[0]) if found else 0, background_first)


def _unnamed(meta: Mapping[str, Any], classes: int, names: int, background_first: bool) -> ClassNames:
    """Return COCO's names where nothing says otherwise, else numbers.

    names: how many the file has, for another number of classes.
    """
    dataset = _dataset(meta)
    as_many = classes == len(COCO_LABELS) or (background_first and classes == COCO_NUMBERS)
    if as_many and not names and (not dataset or "coco" in dataset.lower()):
        if dataset:
            return _coco(classes, "The class names are COCO's: the file says that it was trained on COCO.")
        return _coco(
            classes,
            f"The class names are COCO's: there are {classes}, and nothing in the file says otherwise. If "
            "yours are different, add it with --labels.",
        )
    why = "The file has no class names"
    if names:
        why = f"The file has {names} names for {classes} classes"
    elif as_many:
        why += f" and was trained on {dataset}"
    return _named(
        tuple(f"class {i}" for i in range(1, classes + 1)),
        f"{why}, so they are numbered. To name them, add it with --labels.",
    )


def _named(names: tuple[str, ...], note: str) -> ClassNames:
    return ClassNames(names, tuple(range(len(names))), note)


def _coco(classes: int, note: str) -> ClassNames:
    if classes == len(COCO_LABELS):
        return _named(COCO_LABELS, note)
    # torchvision's models have an output for each number.
    ids = {number: i for i, number in enumerate([*USED_COCO_NUMBERS, *UNUSED_COCO_NUMBERS])}
    unused = tuple(f"unused {number}" for number in UNUSED_COCO_NUMBERS)
    return ClassNames(COCO_LABELS + unused, tuple(ids[number] for number in range(1, COCO_NUMBERS + 1)), note)


def _named_in(meta: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what may name classes, as lists of names or as dicts id -> name."""
    config = config_of(meta)
    sources: list[Any] = [meta, config, config.get("metainfo"), config.get("METAINFO")]
    for place in _PLACES:
        source = _plain(meta.get(place))
        if isinstance(source, dict):
            sources += [source, _plain(source.get("dataset_meta"))]
    for source in sources:
        if isinstance(source, dict):
            for key in _KEYS:
                names = _names(_plain(source.get(key)))
                if names:
                    yield names


def _plain(value: Any) -> Any:
    """Return a value, parsed where it is JSON in a text, as safetensors' metadata have it."""
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _names(value: Any) -> list[str] | dict[int, str]:
    """Return a list of names, or a dict id -> name, from any form in which people write it; else nothing."""
    if isinstance(value, str):  # of a single class, or separated
        return [part.strip() for part in re.split(r"[,\n]", value.strip())]
    if isinstance(value, tuple | list):
        if value and all(isinstance(one, str) for one in value):
            return list(value)
        pairs = [
            (one.get("id"), one.get("name")) for one in value if isinstance(one, dict)
        ]  # COCO's categories
        return _by_id(pairs) if len(pairs) == len(value) else []
    if isinstance(value, dict):
        pairs = list(value.items())
        return _by_id(pairs) or _by_id([(number, name) for name, number in pairs])
    return []


def _by_id(pairs: Sequence[tuple[Any, Any]]) -> dict[int, str]:
    found = {}
    for key, name in pairs:
        number = int(key) if isinstance(key, str) and re.fullmatch(r"\d{1,6}", key) else key
        if type(number) is not int or not isinstance(name, str):
            return {}
        found[number] = name
    return dict(sorted(found.items()))


def _fitting(
    names: list[str] | dict[int, str], classes: int, background_first: bool
) -> tuple[str, ...] | None:
    """Return the names of so many classes, without the background; None where they are others."""
    if isinstance(names, dict):
        foreground = {i: name for i, name in names.items() if name.lower() not in _BACKGROUND}
        if len(foreground) == classes:
            return tuple(foreground.values())
        # Ids with gaps are the network's own where it has as many outputs as these need.
        first = 1 if background_first else 0
        if foreground and min(foreground) >= first and max(foreground) - first < classes:
            return tuple(foreground.get(i + first, f"class {i + 1}") for i in range(classes))
        return None
    if len(names) == classes:
        return tuple(names)
    for background, rest in ((names[0], names[1:]), (names[-1], names[:-1])):
        if len(rest) == classes and background.lower() in _BACKGROUND:
            return tuple(rest)
    return None


def _dataset(meta: Mapping[str, Any]) -> str:
    """Return what the file says that it was trained on; empty where it says nothing."""
    config = config_of(meta)
    args = meta.get("args")
    named = [
        config.get("data_root"),
        config.get("dataset_type"),
        args.get("dataset") if isinstance(args, dict) else None,
    ]
    return next((name for name in named if isinstance(name, str) and name), "")
