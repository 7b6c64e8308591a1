"""Print what supervision finds in data sets: python read_with_supervision.py FORMAT FOLDER..."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import supervision


def opened(name: str, folder: Path) -> Any:
    """Return a data set as supervision opens it."""
    if name.startswith("coco"):
        annotations = folder / "annotations" / "instances_default.json"
        return supervision.DetectionDataset.from_coco(str(folder / "images"), str(annotations))
    if name == "voc":
        return supervision.DetectionDataset.from_pascal_voc(
            str(folder / "JPEGImages"), str(folder / "Annotations")
        )
    paths = [str(folder / part) for part in ("images", "labels", "data.yaml")]
    return supervision.DetectionDataset.from_yolo(*paths, force_masks=name == "yolo-seg")


def items(name: str, folder: Path) -> dict[str, Any]:
    """Return what is in each picture."""
    dataset = opened(name, folder)
    return {
        Path(path).name: {
            "size": list(picture.shape[:2]),
            "labels": [dataset.classes[number] for number in found.class_id],
            "boxes": np.asarray(found.xyxy).tolist(),
            "masks": None if found.mask is None else [np.argwhere(mask).tolist() for mask in found.mask],
        }
        for path, picture, found in dataset
    }


given = zip(sys.argv[1::2], sys.argv[2::2], strict=True)
json.dump({name: items(name, Path(folder)) for name, folder in given}, sys.stdout)
