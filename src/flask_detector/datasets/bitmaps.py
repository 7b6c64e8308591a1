"""Pictures in which a pixel's value says to which object it belongs."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from flask_detector.datasets.remarks import Unusable
from flask_detector.errors import PictureError
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.open_picture import opened


def values_of(data: bytes, limits: Limits, *, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Return the values (height, width) of a picture of one channel or with a palette.

    Raises Unusable where it is none, is damaged, or is not of that width and height.
    """
    try:
        with opened(io.BytesIO(data), limits) as (image, _):
            fits = image.size == size and image.mode in {"1", "L", "P", "I;16", "I"}
            values = np.asarray(image) if fits else None
    except PictureError as error:
        raise Unusable("has a mask that is damaged") from error
    if values is None:
        raise Unusable(f"has a mask that is not of {size[0]}x{size[1]} pixels with a number each")
    return values
