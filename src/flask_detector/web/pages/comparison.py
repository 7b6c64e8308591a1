"""Two results of the same picture, side by side, with what they differ in.

The page stands at two URLs: ``/detections/<id>/compare/<id>`` for whoever sent the picture, and
``/shared/<token>/compare/<token>`` for those who were given links to both.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flask import Blueprint, g, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask_detector.errors import BadParameter, UnknownDetection
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.detections import Detections, Instance
from flask_detector.structures.matching import MATCH_IOU, Matches, match, pairs_of
from flask_detector.visualization.colors import Colour, colours_of, text_colour_on
from flask_detector.web.core import sse
from flask_detector.web.core.progress_steps import steps
from flask_detector.web.core.responses import go_to
from flask_detector.web.core.service import service
from flask_detector.web.core.view import View
from flask_detector.web.pages.batches import view_query
from flask_detector.web.pages.visitor import may_see

blueprint = Blueprint("comparison", __name__, url_prefix="/detections/<key>/compare/<other>")
shared = Blueprint("shared_comparison", __name__, url_prefix="/shared/<key>/compare/<other>")


@blueprint.url_value_preprocessor
@shared.url_value_preprocessor
def _find(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Look both detections up; `g.keys` holds what the URL calls them, and `g.records` the detections."""
    found = values or {}
    g.keys = [found.pop("key"), found.pop("other")]
    g.is_shared = request.blueprint == shared.name
    ids = [service().share_links.opened_by(key) for key in g.keys] if g.is_shared else g.keys
    g.records = [service().jobs.find(id) for id in ids]
    if not g.is_shared and not all(may_see(record) for record in g.records):
        raise UnknownDetection("There is no such detection.")


@blueprint.get("")
@shared.get("")
def show() -> str | AnyResponse:
    """Show both results; wait for one that is not there yet, and lead to one that there will not be."""
    for key, record in zip(g.keys, g.records, strict=True):
        if not record.status.is_final:
            return _waiting_page(key, record)
        if record.status is not JobStatus.DONE:
            return go_to(_url_of(key))
    view = View.of(request.args)
    results = [service().jobs.result(record.id, corrected=view.corrected) for record in g.records]
    left, right = (found for found, _ in results)
    if (left.width, left.height) != (right.width, right.height):
        raise BadParameter(
            "These are results of pictures of different sizes.", hint="Compare two of the same picture."
        )
    score = view.lowest(max(shown_score for _, shown_score in results))
    pairs = pairs_of(left, right)
    colours = _colours(left, right)
    names = [left.model, right.model]
    if left.model == right.model:
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    groups = _groups(
        match(pairs, left.scores >= score, right.scores >= score), list(left), list(right), names, view
    )
    return render_template(
        "pages/comparison.html",
        keys=g.keys,
        records=g.records,
        results=(left, right),
        names=names,
        url_of=_url_of,
        view=view,
        query=view_query() | {"corrected": None if view.corrected else "false"},
        score=score,
        pairs=[(pair.left, pair.right, pair.same_label) for pair in pairs],
        groups=groups,
        numbers=[sum(len(rows) for kind, _, rows in groups if kind != other) for other in ("right", "left")],
        classes=_classes(left.over(score).counts(), right.over(score).counts(), colours),
        colours=colours,
        text_colours={label: text_colour_on(colour) for label, colour in colours.items()},
        match_iou=MATCH_IOU,
        highest=float(np.concatenate([left.scores, right.scores, [0]]).max()),
        link=_link(),
    )


@blueprint.post("/share")
def share() -> AnyResponse:
    """Make the link under which anybody may look at both results, and at each."""
    for record in g.records:
        service().share_links.create(record.id)
    return go_to(_own_url(), link=_link() or "")


@blueprint.post("/withdraw")
def withdraw() -> AnyResponse:
    """Let the links to both results open nothing any more."""
    for record in g.records:
        service().withdraw(record.id)
    return go_to(_own_url())


def _groups(
    found: Matches, left: list[Instance], right: list[Instance], names: list[str], view: View
) -> list[tuple[str, str, list[tuple[Instance, ...]]]]:
    """Return what the lists show: of each its kind, its title, and what stands in a row.

    A class that the view shows brings what the other result calls otherwise with it.
    """
    groups: list[tuple[str, str, list[tuple[Instance, ...]]]] = [
        ("left", f"Only {names[0]}", [(left[i],) for i in found.only_left]),
        ("right", f"Only {names[1]}", [(right[j],) for j in found.only_right]),
        ("other", "Another label", [(left[pair.left], right[pair.right]) for pair in found.other_label]),
        ("same", "In both", [(left[pair.left], right[pair.right]) for pair in found.same]),
    ]
    return [
        (kind, title, [row for row in rows if any(view.shows(one.label) for one in row)])
        for kind, title, rows in groups
    ]


def _classes(
    left: Mapping[str, int], right: Mapping[str, int], labels: Iterable[str]
) -> list[tuple[str, tuple[int, int]]]:
    """Return for each label how many objects have it in each result, most first."""
    numbers = [(label, (left.get(label, 0), right.get(label, 0))) for label in labels]
    return sorted(numbers, key=lambda one: (-sum(one[1]), one[0]))


def _waiting_page(key: str, record: Record) -> str:
    return render_template(
        "pages/waiting.html",
        record=record,
        url=lambda page: _url_of(key, page),
        state=sse.state_of(record),
        steps=steps(has_masks=service().will_outline(record)),
    )


def _url_of(key: str, page: str = "show", **query: Any) -> str:
    """Return the URL of one of the detections, or of a file of it, for whoever looks at the comparison."""
    return url_for(f"{'shared' if g.is_shared else 'detection'}.{page}", key=key, **query)


def _own_url() -> str:
    return url_for("comparison.show", key=g.keys[0], other=g.keys[1], **view_query())


def _link() -> str | None:
    """Return the link to the comparison, if both results are shared."""
    tokens = [service().share_links.token_of(record.id) for record in g.records]
    if g.is_shared or None in tokens:
        return None
    return url_for("shared_comparison.show", key=tokens[0], other=tokens[1], _external=True)


def _colours(left: Detections, right: Detections) -> dict[str, Colour]:
    """Return one colour for each label of both, as the left result has them, no two alike."""
    ids = {label: i for i, label in enumerate(dict.fromkeys([*left.labels, *right.labels]))}
    labels = list(dict.fromkeys([*_labels(left), *_labels(right)]))
    by_id = colours_of(ids[label] for label in labels)
    return {label: by_id[ids[label]] for label in labels}


def _labels(found: Detections) -> Iterable[str]:
    return (found.labels[class_id] for class_id in found.class_ids.tolist())
