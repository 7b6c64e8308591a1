"""Pictures in which a pixel's value says to which object it belongs."""

import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flask_detector.datasets.remarks import Unusable
from flask_detector.errors import PictureError
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.open_picture import opened

# The bits of a number that VOC's colour map shows by each channel, from the channel's highest bit on.
_BITS: Final = ((0, 3, 6), (1, 4, 7), (2, 5))


def values_of(data: bytes, limits: Limits, *, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Return the values (height, width) of a picture of one channel or with a palette.

    The colours of one without, as CVAT and datumaro write it, stand for numbers by VOC's colour map.

    Raises Unusable where it is none, is damaged, or is not of that width and height.
    """
    try:
        with opened(io.BytesIO(data), limits) as (image, _):
            fits = image.size == size and image.mode in {"1", "L", "P", "I;16", "I", "RGB"}
            values = np.asarray(image) if fits else None
    except PictureError as error:
        raise Unusable("has a mask that is damaged") from error
    if values is None:
        raise Unusable(f"has a mask that is not of {size[0]}x{size[1]} pixels with a number each")
    if values.ndim == 3:
        bits = [(values[:, :, c] >> (7 - i) & 1) << bit for c in range(3) for i, bit in enumerate(_BITS[c])]
        values = np.array(bits).sum(axis=0)
    return values
