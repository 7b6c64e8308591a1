"""Pictures of drawn objects with exact masks: to learn from by heart."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SIDE = 320
_COLOURS = ((220, 60, 40), (40, 90, 220))


class Drawn(NamedTuple):
    """A picture (S, S, 3), RGB, with boxes (M, 4), class ids (M,) and masks (M, S, S).

    Class 0 are red discs, class 1 are blue diamonds.
    """

    pixels: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]
    masks: npt.NDArray[np.bool_]


def drawn(seed: int, side: int = SIDE) -> Drawn:
    """Return a square picture with two objects of each class; of another side, the same enlarged."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pixels = random.integers(90, 150, (SIDE, SIDE, 3)).astype(np.uint8)
    class_ids = np.array([0, 1, 0, 1])
    masks = []
    for quarter, class_id in enumerate(class_ids):
        radius = int(random.integers(30, 60))
        x, y = 80 + 160 * (quarter % 2) + int(random.integers(-15, 16)), 80 + 160 * (quarter // 2)
        power = 1 if class_id else 2
        mask = np.abs(columns - x) ** power + np.abs(rows - y) ** power <= radius**power
        pixels[mask] = _COLOURS[class_id]
        masks.append(mask)
    boxes = []
    nearest = np.arange(side) * SIDE // side
    pixels, masks = pixels[nearest][:, nearest], [mask[nearest][:, nearest] for mask in masks]
    for mask in masks:
        (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0))
        boxes.append([left, top, right + 1, bottom + 1])
    return Drawn(pixels, np.array(boxes, np.float32), class_ids, np.array(masks))
