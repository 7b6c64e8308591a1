"""Print the results of standard input (a list of our JSON) after a round trip by supervision.Detections."""

import json
import sys
from typing import Any

import numpy as np
import supervision

from flask_detector import Detections
from flask_detector.formats.supervision import from_supervision


def round_trip(form: dict[str, Any]) -> dict[str, Any]:
    """Return the same, if supervision has it right on the way."""
    found = Detections.from_json(form)
    theirs = found.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    np.testing.assert_array_equal(theirs.xyxy, found.boxes)
    assert theirs.data["class_name"].tolist() == [one.label for one in found]
    if found.masks:
        assert theirs.mask.shape == (len(found), found.height, found.width)
        assert theirs.mask.sum(axis=(1, 2)).tolist() == [
            0 if mask is None else mask.area for mask in found.masks
        ]
    if len(found):
        # What supervision keeps of a choice still tells the rest.
        best = from_supervision(theirs[theirs.confidence > 0.5])
        assert best.to_json()["instances"] == found.over(0.6).to_json()["instances"]
    theirs.metadata.clear()
    again = from_supervision(
        theirs, width=found.width, height=found.height, labels=found.labels, model=found.model
    )
    return again.to_json()


json.dump([round_trip(form) for form in json.load(sys.stdin)], sys.stdout)
