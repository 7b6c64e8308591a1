"""Label Studio's labelling configuration: where regions may be put, and how the labels are called there.

Source: HumanSignal/label-studio-sdk, label_interface; the tags of Label Studio's documentation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from flask_detector.errors import BadParameter
from flask_detector.web.compat import request_body

# The tags that can hold what is found, by what they hold, those first that show most of a mask.
_SHAPES = {
    "brush": ("BrushLabels", "Brush"),
    "polygon": ("PolygonLabels", "Polygon"),
    "rectangle": ("RectangleLabels", "Rectangle"),
}

# Some thousand labels; each tag becomes an object.
_LONGEST = 1_000_000


@dataclass(frozen=True)
class Control:
    """A tag that regions can be put into.

    shape: "brush", "polygon" or "rectangle".
    labels_name: of the tag that has the labels; the same as `name` unless these stand in a tag of their own.
    labels: how a label is called in the project, by what a model calls it, in lower case.
    source: the name of the task's data that is the picture.
    min_score: the lowest score that the project asks for, or None.
    """

    name: str
    to_name: str
    shape: str
    labels_name: str
    labels: Mapping[str, str]
    source: str
    min_score: float | None

    @property
    def is_split(self) -> bool:
        """Whether shape and label are two regions of one id."""
        return self.name != self.labels_name


def controls_of(text: object) -> list[Control]:
    """Return the tags of a configuration that regions can be put into; raises BadParameter."""
    return list(_controls(_parsed(text)))


def has_controls(text: object) -> bool:
    """Return whether a configuration asks for anything yet, for pictures or not; raises BadParameter."""
    return any(tag.get("toName") for tag in _parsed(text).iter())


def _parsed(text: object) -> ElementTree.Element:
    if not isinstance(text, str) or not text.strip():
        raise BadParameter("The labelling configuration is missing.")
    if len(text) > _LONGEST:
        raise BadParameter(f"The labelling configuration has more than {_LONGEST:,} characters.")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can grow without end
        raise BadParameter("The labelling configuration has a document type.")
    try:
        return ElementTree.fromstring(text)  # noqa: S314  # without a document type there are no entities
    except ElementTree.ParseError as error:
        raise BadParameter("The labelling configuration is not XML.") from error


def _controls(root: ElementTree.Element) -> Iterator[Control]:
    sources = {
        tag.get("name", ""): tag.get("value", "").removeprefix("$")
        for tag in root.iter("Image")
        if tag.get("value", "").startswith("$")
    }
    for shape, (with_labels, without) in _SHAPES.items():
        for tag in (*root.iter(with_labels), *root.iter(without)):
            to_name = tag.get("toName", "").split(",")[0]
            names = tag if tag.tag == with_labels else _labels_for(root, to_name)
            if to_name in sources and names is not None and tag.get("name"):
                yield Control(
                    name=tag.get("name", ""),
                    to_name=to_name,
                    shape=shape,
                    labels_name=names.get("name", ""),
                    labels=_labels_of(names),
                    source=sources[to_name],
                    min_score=_min_score(tag),
                )


def _labels_for(root: ElementTree.Element, to_name: str) -> ElementTree.Element | None:
    return next((tag for tag in root.iter("Labels") if tag.get("toName") == to_name), None)


def _labels_of(tag: ElementTree.Element) -> dict[str, str]:
    """Return a tag's labels by their own names and by those that `predicted_values` lists."""
    labels: dict[str, str] = {}
    for label in tag.iter("Label"):
        value = label.get("value", "")
        labels.setdefault(value.strip().lower(), value)
        for other in label.get("predicted_values", "").split(","):
            if other.strip():
                labels[other.strip().lower()] = value
    return labels


def _min_score(tag: ElementTree.Element) -> float | None:
    text = tag.get("model_score_threshold")
    return None if text is None else request_body.number(text, name="model_score_threshold", default=0)
