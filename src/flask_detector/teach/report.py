"""What a run of teaching came to: a card for programs and the same in words."""

import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np

from flask_detector.structures.labels import plural
from flask_detector.structures.outlines import shape_of
from flask_detector.teach import measure
from flask_detector.teach.examples import Example, Found, TrainingData
from flask_detector.teach.measure import Figures
from flask_detector.teach.parts import Part, learned_from

_ALL: Final = "all classes"
_COLUMN: Final = 10
_WORST: Final = 8


@dataclass(frozen=True)
class Card:
    """What a taught model was made of, and how good it is on pictures that it has not learned from.

    pair: the name of the model that finds the base's classes as well.
    replaces: by taught class, which classes of the base it stands for.
    training, validation: how many pictures. folds: how many parts proved each other; 1 for pictures held out.
    objects: by class, how many to learn from and how many to prove it.
    version: of the data.
    seconds: of all, steps: of the training. memory: at its peak, in bytes. hardware: processor and device.
    min_score: the suggested one.
    before, after: the figures by class, "" for all, of the base model (as far as its classes stand for these)
        and of the taught one.
    worst: the pictures with most mistakes, with how many.
    """

    name: str
    pair: str
    base: str
    classes: tuple[str, ...]
    replaces: Mapping[str, list[str]]
    training: int
    validation: int
    folds: int
    objects: Mapping[str, tuple[int, int]]
    version: str
    seconds: float
    steps: int
    memory: int
    hardware: str
    min_score: float
    before: Mapping[str, Figures]
    after: Mapping[str, Figures]
    worst: Mapping[str, int]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain containers."""
        return asdict(self)

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """Return the card that `to_json` has returned as this."""
        by_class = {
            name: {label: Figures(**figures) for label, figures in form[name].items()}
            for name in ("before", "after")
        }
        return cls(**{**form, **by_class})


def card_of(
    data: TrainingData,
    chosen: Sequence[Part],
    found: Sequence[tuple[Example, Found]],
    calibrated: Sequence[Found],
    *,
    names: tuple[str, str, str],
    seconds: float,
    steps: int,
    hardware: str,
    remarks: tuple[str, ...],
) -> Card:
    """Return the card of a model.

    found: what it finds in the pictures that prove it, before its scores are shifted.
    calibrated: the same with scores as other pictures have chosen them, see `measure.calibrated_by_others`.
    names: of the model, of the pair and of the base.
    """
    examples, answers = [one for one, _ in found], [one for _, one in found]
    suggested = data.min_score
    before = [_renamed(example.found, data.replaces) for example in examples]
    training = learned_from(chosen)
    objects = {
        name: (_count(training, class_id), _count(examples, class_id))
        for class_id, name in enumerate(data.classes)
    }
    wrong = {
        example.name: measure.mistakes(example, one, data.classes, min_score=suggested)
        for example, one in zip(examples, calibrated, strict=True)
    }
    worst = sorted((name for name in wrong if wrong[name]), key=lambda name: (-wrong[name], name))
    return Card(
        *names,
        classes=data.classes,
        replaces=data.replaces,
        training=len(training),
        validation=len(examples),
        folds=len(chosen),
        objects=objects,
        version=data.version,
        seconds=round(seconds, 1),
        steps=steps,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        hardware=hardware,
        min_score=suggested,
        before=measure.figures(examples, before, data.classes, min_score=suggested),
        after=measure.figures(examples, answers, data.classes, min_score=suggested, calibrated=calibrated),
        worst={name: wrong[name] for name in worst[:_WORST]},
        remarks=remarks,
    )


def proof_of(
    examples: Sequence[Example], calibrated: Sequence[Found], classes: Sequence[str], *, min_score: float
) -> list[dict[str, Any]]:
    """Return of each picture what is marked, what the base model and the taught one find, the worst first.

    Boxes are xyxy in pixels, of scores from the suggested one on. Masks are paths on a grid, see `outlines`.
    """
    form = [
        {
            "name": example.name,
            "width": example.width,
            "height": example.height,
            "mistakes": measure.mistakes(example, found, classes, min_score=min_score),
            "marked": [
                {"label": classes[example.class_ids[n]]} | _place(example, example, n)
                for n in np.flatnonzero(example.is_certain).tolist()
            ],
            "before": _shown(example, example.found, min_score),
            "after": _shown(example, found, min_score),
        }
        for example, found in zip(examples, calibrated, strict=True)
    ]
    return sorted(form, key=lambda one: (-one["mistakes"], one["name"]))


def _shown(example: Example, found: Found, min_score: float) -> list[dict[str, Any]]:
    return [
        {"label": found.labels[n], "score": round(float(found.scores[n]), 3)} | _place(example, found, n)
        for n in np.flatnonzero(found.scores >= min_score).tolist()
    ]


def _place(example: Example, objects: Example | Found, number: int) -> dict[str, Any]:
    """Return where an object of a picture lies."""
    mask = objects.masks[number] if objects.masks else None
    shape = {} if mask is None else {"mask": shape_of(mask, example.width, example.height)}
    return {"box": objects.boxes[number].round(1).tolist()} | shape


def _renamed(found: Found, replaces: Mapping[str, list[str]]) -> Found:
    """Return what the base finds of classes that taught ones stand for, once under each of their names."""
    renamed = [
        (n, name)
        for n, label in enumerate(found.labels)
        for name, others in replaces.items()
        if label in others
    ]
    numbers = [n for n, _ in renamed]
    masks = None if found.masks is None else tuple(found.masks[n] for n in numbers)
    return Found(found.boxes[numbers], found.scores[numbers], [name for _, name in renamed], masks)


def _count(examples: Sequence[Example], class_id: int) -> int:
    return sum(int(((one.class_ids == class_id) & one.is_certain).sum()) for one in examples)


def in_words(card: Card) -> str:
    """Return a card as lines for people."""
    how = (
        f"each third of {card.validation} pictures, after learning from the others"
        if card.folds > 1
        else f"{card.validation} {plural('picture', card.validation)} that it has not learned from"
    )
    lines = [
        f"{card.name} has learned {', '.join(card.classes)} from {card.training} "
        f"{plural('picture', card.training)} in "
        f"{clock(card.seconds)} ({card.steps} steps; {card.hardware}; {card.memory / 1e9:.1f} GB; "
        f"version {card.version} of the data).",
        f"Measured on {how}. Before is {card.base}; precision and recall count scores "
        f"from {card.min_score:g} on, calibrated on other pictures than those counted.",
        "",
        *_table(card),
    ]
    for label, others in card.replaces.items():
        if others:
            lines.append(f"Where both find {label}, it replaces {' and '.join(others)} of {card.base}.")
    if card.worst:
        worst = ", ".join(f"{name} ({count})" for name, count in card.worst.items())
        lines.append(f"Most mistakes: {worst}.")
    return "\n".join([*lines, *card.remarks])


def _table(card: Card) -> list[str]:
    width = max(len(label) for label in (*card.classes, _ALL))
    heads = ["AP", "AP50", "precision", "recall"]
    if card.after[""].mask_ap is not None:
        heads += ["mask AP", "mask AP50"]
    wide = len(heads) * _COLUMN
    lines = [
        f"{'':{width}}{'objects':>{2 * _COLUMN}}{'before':>{wide}}{'after':>{wide}}",
        f"{'':{width}}" + "".join(f"{head:>{_COLUMN}}" for head in ("train", "val", *heads, *heads)),
    ]
    for label in (*card.classes, ""):
        cells = [str(count) for count in card.objects.get(label, ("", ""))]
        for figures in (card.before[label], card.after[label]):
            values = list(asdict(figures).values())[: len(heads)]
            cells += ["-" if value is None else f"{value:.3f}" for value in values]
        lines.append(f"{label or _ALL:{width}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells))
    return lines


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, 4:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
