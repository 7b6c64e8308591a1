"""Corrected objects: their document, what they are as detections, and how what is wrong is named."""

from typing import Any

import numpy as np
import pytest

from flask_detector.structures.annotation import Annotation, AnnotationError
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

WIDTH, HEIGHT = 40, 30
SQUARE = Mask.from_bitmap(np.ones((5, 4), bool), x=2, y=3)
OUTLINE = [[[[2.5, 3.5], [8.25, 3.5], [8.25, 9]]]]


def found() -> Detections:
    return Detections.from_unordered(
        np.array([[2, 3, 6, 8], [10, 10, 20, 20], [40, 3, 40, 9]], np.float32),
        np.array([0.9, 0.4, 0.3], np.float32),
        np.array([1, 0, 0]),
        masks=(SQUARE, SQUARE, SQUARE),
        width=WIDTH,
        height=HEIGHT,
        labels=("person", "cup"),
        model="a-model",
    )


def entry(**changes: Any) -> dict[str, Any]:
    return {"id": "a", "label": "cup", "source": "person", "box": [1, 2, 3, 4]} | changes


def document(*objects: Any, **changes: Any) -> dict[str, Any]:
    form = {"version": 1, "width": WIDTH, "height": HEIGHT, "labels": ["person", "cup"]}
    return form | {"objects": list(objects)} | changes


def test_what_a_model_found_is_its_own_until_a_person_says_more() -> None:
    said = Annotations.from_detections(found())

    assert [(one.id, one.label, one.source, one.score, one.verified) for one in said.objects] == [
        ("m0", "cup", "model", 0.9, False),
        ("m1", "person", "model", 0.4, False),
    ], "a box without area is none"
    assert said.labels == ("person", "cup")
    back = said.to_detections("a-model")
    np.testing.assert_array_equal(back.boxes, found().boxes[:2])
    np.testing.assert_array_equal(back.scores, found().scores[:2])


def test_a_person_is_sure_of_what_they_drew_or_verified_and_a_new_class_comes_last() -> None:
    corrected = Annotations.from_json(
        document(
            entry(id="m0", label="cup", source="model", score=0.4, verified=False),
            entry(id="m1", label="person", source="model", score=0.3, verified=True),
            entry(id="m2", label="person", score=0.2),
            entry(id="x", label="Кот", mask=SQUARE.to_rle(width=WIDTH, height=HEIGHT)),
        )
    )
    shown = corrected.to_detections("a-model")

    assert shown.labels == ("person", "cup", "Кот")
    assert [(one.label, one.score) for one in shown] == [
        ("person", 1), ("person", 1), ("Кот", 1), ("cup", pytest.approx(0.4)),
    ]  # fmt: skip
    assert [one.origin.model_score for one in shown if one.origin] == [0.3, 0.2, None, 0.4]
    assert [one.mask is None for one in shown] == [True, True, False, True]
    again = Detections.from_json(shown.to_json())
    assert again.to_json() == shown.to_json()
    assert (again.to_json()["corrected"], again.origins) == (True, shown.origins)
    assert len(shown.over(0.5)) == 3
    assert Annotations.from_json(document(entry(), verified=True)).to_detections("m").scores == [1]


@pytest.mark.parametrize("masks", ["rle", "polygon"])
def test_a_document_is_read_as_it_was_written(masks: Any) -> None:
    square = SQUARE.to_rle(width=WIDTH, height=HEIGHT)
    objects = [entry(id="a", polygons=OUTLINE), entry(id="b", score=0.5), entry(id="c", mask=square)]
    corrected = Annotations.from_json(document(*objects, verified=True))
    form = corrected.to_json(masks=masks)

    assert form["objects"][0]["polygons"] == OUTLINE, "a corner comes back where it was put"
    assert Annotations.from_json(form).to_json() == corrected.to_json()
    assert corrected.objects[0].mask is not None
    assert corrected.objects[0].mask.area == 15


def test_a_box_that_is_missing_is_the_mask_s_and_labels_in_use_are_added() -> None:
    made = Annotations.from_json(
        document(entry(label="new", box=None, polygons=[[[[2, 3], [6, 3], [6, 8], [2, 8]]]]))
    )
    assert [one.box for one in made.objects] == [(2, 3, 6, 8)]
    assert list(made.labels) == ["person", "cup", "new"]
    assert list(made.with_labels(["x", "cup"]).labels) == ["x", "cup", "person", "new"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ([], ""),
        ({"version": 1}, "width"),
        (document(version=2), "version"),
        (document(width=WIDTH + 1), "width"),
        (document(height=True), "height"),
        (document(width=2**32), "width"),
        (document(more=1), "more"),
        (document(verified=1), "verified"),
        (document(labels="cup"), "labels"),
        (document(labels=["a", "a"]), "labels"),
        (document(labels=[{}]), "labels[0]"),
        (document(labels=["a", "\n"]), "labels[1]"),
        (document(objects={}), "objects"),
        (document(7), "objects[0]"),
        (document(entry(), entry()), "objects[1].id"),
        (document(entry(id="")), "objects[0].id"),
        (document(entry(id=7)), "objects[0].id"),
        (document(entry(id="x" * 41)), "objects[0].id"),
        (document(entry(id="é")), "objects[0].id"),
        (document(entry(label="")), "objects[0].label"),
        (document(entry(label=" ")), "objects[0].label"),
        (document(entry(label="a\x07")), "objects[0].label"),
        (document(entry(label="\u202ea")), "objects[0].label"),
        (document(entry(label="x" * 500)), "objects[0].label"),
        (document(entry(label=None)), "objects[0].label"),
        (document(entry(colour="red")), "objects[0].colour"),
        (document(entry(source="me")), "objects[0].source"),
        (document(entry(source=[])), "objects[0].source"),
        (document(entry(score=1.5)), "objects[0].score"),
        (document(entry(score=float("nan"))), "objects[0].score"),
        (document(entry(score="0.5")), "objects[0].score"),
        (document(entry(verified=None)), "objects[0].verified"),
        (document(entry(box=None)), "objects[0].box"),
        (document(entry(box=[1, 2, 3])), "objects[0].box"),
        (document(entry(box=[1, 2, 3, float("inf")])), "objects[0].box"),
        (document(entry(box=[1, 2, 3, float("nan")])), "objects[0].box"),
        (document(entry(box=[1, 2, 3, 10**400])), "objects[0].box"),
        (document(entry(box=[3, 2, 3, 4])), "objects[0].box"),
        (document(entry(box=[3, 2, 3.0001, 4])), "objects[0].box"),
        (document(entry(box=[5, 2, 3, 4])), "objects[0].box"),
        (document(entry(box=[-1, 2, 3, 4])), "objects[0].box"),
        (document(entry(box=[1, 2, WIDTH + 1, 4])), "objects[0].box"),
        (document(entry(mask="x")), "objects[0].mask"),
        (document(entry(mask={"size": [HEIGHT, WIDTH]})), "objects[0].mask.counts"),
        (document(entry(mask={"size": [HEIGHT, WIDTH], "counts": "~"})), "objects[0].mask"),
        (document(entry(mask={"size": [HEIGHT, WIDTH], "counts": [7]})), "objects[0].mask"),
        (document(entry(mask={"size": [WIDTH, HEIGHT], "counts": [1200]})), "objects[0].mask"),
        (document(entry(mask={"size": 7, "counts": [1200]})), "objects[0].mask"),
        (document(entry(polygons=[[]] * 3 + [[7]])), "objects[0].polygons"),
        (document(entry(polygons=7)), "objects[0].polygons"),
        (document(entry(polygons=[[[[1, 2], [3, 4]]]])), "objects[0].polygons"),
        (document(entry(polygons=[[[[1, 2], [3, "4"], [5, 6]]]])), "objects[0].polygons"),
        (document(entry(polygons=[[[[1, 2], [3, 4], [5, 60]]]])), "objects[0].polygons"),
        (document(entry(polygons=[[[[0, 0], [WIDTH, 1]] * 30_000]])), "objects[0].polygons"),
        (document(*[entry()] * 5001), "objects"),
    ],
)  # fmt: skip
def test_what_can_t_be_used_is_named_by_its_field(form: Any, field: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        Annotations.from_json(form, size=(WIDTH, HEIGHT))
    assert caught.value.field == field
    assert str(caught.value).startswith(field or "The document")


def test_outlines_that_would_take_minutes_together_are_refused() -> None:
    zigzag = [[[[0, 0], [WIDTH, 1]] * 20_000]]
    objects = [entry(id=str(number), polygons=zigzag) for number in range(13)]
    with pytest.raises(AnnotationError, match="too long together"):
        Annotations.from_json(document(*objects))


def test_no_annotations_can_be_made_that_a_document_could_not_hold() -> None:
    one = Annotation("a", "cup", "person", None, False, (1, 2, 3, 4))
    with pytest.raises(AnnotationError, match=r"objects\[0\]\.label"):
        Annotations(WIDTH, HEIGHT, (one,), ("person",))
    far = Mask.from_bitmap(np.ones((5, 4), bool), x=WIDTH, y=3)
    with pytest.raises(AnnotationError, match=r"objects\[0\]\.mask"):
        Annotations(
            WIDTH, HEIGHT, (Annotation("a", "cup", "person", None, False, (1, 2, 3, 4), far),), ("cup",)
        )
