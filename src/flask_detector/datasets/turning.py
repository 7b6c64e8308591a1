"""Objects that were drawn on a picture as it is stored, for the picture as it is seen (EXIF orientation)."""

from dataclasses import replace
from typing import Final

import numpy as np

from flask_detector.datasets.shapes import Ring, Shape
from flask_detector.structures.masks import Mask

# By orientation (EXIF 2.32, 4.6.4 A): which of x and y are counted from the other side of the stored picture
# before they change places. Where the sides keep theirs it can't be told how labels were drawn.
ON_ITS_SIDE: Final[dict[int, tuple[bool, bool]]] = {
    5: (False, False),
    6: (False, True),
    7: (True, True),
    8: (True, False),
}


def upright(shape: Shape, size: tuple[int, int], orientation: int) -> Shape:
    """Return an object of a stored picture of that width and height as it lies in the upright one."""
    flips = ON_ITS_SIDE[orientation]

    def turned(points: Ring) -> Ring:
        flipped = np.where(flips, np.array(size) - points, points)
        return flipped[:, ::-1]

    box, mask = shape.box, shape.mask
    if box is not None:
        corners = turned(np.array(box).reshape(2, 2))
        (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        box = x1, y1, x2, y2
    if mask is not None:
        place = np.array([[mask.x, mask.y], [mask.x + mask.width, mask.y + mask.height]])
        x, y = turned(place).min(axis=0).tolist()
        bitmap = mask.bitmap()[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1].T
        mask = Mask.from_bitmap(bitmap, x=int(x), y=int(y))
    return replace(shape, box=box, mask=mask, rings=[turned(ring) for ring in shape.rings])
