"""Print what LabelMe finds in its files, and draws of it: python read_with_labelme.py FILE..."""

import json
import sys

import numpy as np
from labelme._label_file import LabelFile
from labelme.utils.shape import shapes_to_label


def drawn(file: LabelFile, width: int = 64, height: int = 48) -> list[list[list[int]]]:
    """Return the pixels of each shape."""
    numbers = {shape["label"]: 1 for shape in file.shapes}
    labels = (shapes_to_label((height, width), [shape], numbers)[0] for shape in file.shapes)
    return [np.argwhere(label).tolist() for label in labels]


def told(file: LabelFile) -> list[dict[str, object]]:
    """Return the shapes without what JSON can't tell."""
    return [{**shape, "mask": None} for shape in file.shapes]


files = [LabelFile(path) for path in sys.argv[1:]]
answer = [[file.image_path, len(file.image_data), told(file), drawn(file)] for file in files]
json.dump(answer, sys.stdout)
