"""Print what datumaro finds in data sets: python read_with_datumaro.py FORMAT FOLDER..."""

import json
import sys
from typing import Any

import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset


def items(name: str, folder: str) -> dict[str, Any]:
    """Return what is in each picture."""
    dataset = Dataset.import_from(folder, name)
    labels = [label.name for label in dataset.categories()[AnnotationType.label]]
    return {
        item.id: {
            "size": list(item.media.size),
            "boxes": [
                [labels[a.label], *map(float, a.get_bbox())]
                for a in item.annotations
                if a.type is AnnotationType.bbox
            ],
            "masks": [
                [labels[a.label], np.argwhere(a.image).tolist()]
                for a in item.annotations
                if a.type is AnnotationType.mask
            ],
        }
        for item in dataset
    }


given = zip(sys.argv[1::2], sys.argv[2::2], strict=True)
json.dump({name: items(name, folder) for name, folder in given}, sys.stdout)
