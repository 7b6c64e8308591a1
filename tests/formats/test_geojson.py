import json
from collections.abc import Callable

import geojson
import numpy as np
import shapely
from shapely.geometry import shape

from flask_detector.formats import FORMATS
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap


def test_shapely_gets_the_masks_back_as_valid_polygons(
    with_masks: Detections, whole: Callable[[Detections], list[Bitmap]]
) -> None:
    form = json.loads(FORMATS["geojson"].write(with_masks, "my flat.jpg"))
    centres = shapely.points(np.mgrid[:64, :48].reshape(2, -1).T + 0.5)
    for feature, expected in zip(form["features"][:3], whole(with_masks)[:3], strict=True):
        polygons = shape(feature["geometry"])
        assert polygons.is_valid
        assert polygons.area == feature["properties"]["area"]
        np.testing.assert_array_equal(shapely.contains(polygons, centres).reshape(64, 48).T, expected)
    assert [one["geometry"]["type"] for one in form["features"]] == ["MultiPolygon"] * 2 + ["Polygon"]


def test_geojson_finds_nothing_to_complain_of(
    with_masks: Detections, boxes_only: Detections, nothing: Detections
) -> None:
    for found in (with_masks, boxes_only, nothing):
        collection = geojson.loads(FORMATS["geojson"].write(found, "a.jpg"))
        assert isinstance(collection, geojson.FeatureCollection)
        assert collection.is_valid, collection.errors()
        assert len(collection.features) == (
            len(found)
            if found.masks is None
            else sum(one.mask is not None and one.mask.area > 0 for one in found)
        )


def test_the_bbox_is_the_shapes_which_may_reach_beyond_the_box(with_masks: Detections) -> None:
    form = json.loads(FORMATS["geojson"].write(with_masks, "my flat.jpg"))
    for feature, one in zip(form["features"], with_masks, strict=False):
        assert tuple(feature["bbox"]) == shape(feature["geometry"]).bounds
        assert feature["properties"]["box"] == list(one.box)
    assert form["features"][0]["bbox"] == [1, 2, 8, 7]


def test_outer_rings_are_counterclockwise_by_their_numbers(with_masks: Detections) -> None:
    form = json.loads(FORMATS["geojson"].write(with_masks, "a.jpg"))
    outer, hole = form["features"][0]["geometry"]["coordinates"][0]
    assert shapely.is_ccw(shapely.linearrings(outer))
    assert not shapely.is_ccw(shapely.linearrings(hole))


def test_without_a_mask_the_shape_is_the_box(boxes_only: Detections) -> None:
    form = json.loads(FORMATS["geojson"].write(boxes_only, "a.jpg"))
    assert form["features"][0]["bbox"] == [1.25, 2.5, 8.0, 7.0]
    assert shape(form["features"][0]["geometry"]).bounds == (1.25, 2.5, 8.0, 7.0)
    assert form["features"][0]["properties"] == {
        "label": boxes_only.labels[0],
        "class_id": 0,
        "score": 0.9,
    }
    assert (form["file"], form["width"], form["height"], form["model"]) == ("a.jpg", 64, 48, "a-model")
