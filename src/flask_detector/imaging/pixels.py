"""The pixels of a decoded picture, upright and in RGB, whatever its orientation and mode.

They are converted strip by strip, when they are asked for: beside the copy that was decoded there is never a
second whole picture, unless somebody wants it as one array.
"""

import struct
from collections.abc import Callable, Iterator
from io import FileIO
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from flask_detector.imaging.rgb import conversion_of

Picture = npt.NDArray[np.uint8]
Rows = slice | npt.NDArray[np.int64]
Box = tuple[int, int, int, int]

# How the stored picture lies in the array of the upright one, by EXIF orientation (EXIF 2.32, 4.6.4 A).
_STORED_IN_UPRIGHT: Final[dict[int, Callable[[Picture], Picture]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}
_TURNED: Final = {5, 6, 7, 8}
# The upright picture's first row is the last row, or column, that is stored.
_FROM_THE_END: Final = {3, 4, 7, 8}
STRIP_PIXELS = 1 << 19
_BLOCKS_AT_A_TIME: Final = 16
_FORGOTTEN: Final = "these pixels are forgotten"


class Stored(Protocol):
    """A decoded picture as its file stores it."""

    def crop(self, box: Box, /) -> Image.Image:
        """Return a part of it: left, upper, right and lower."""
        ...


class Pixels:
    """The pixels of a picture, upright and in RGB, to be read some rows at a time.

    height, width: of the picture as the user sees it.
    rows, columns: how many pixels there are: as many, or fewer where it was decoded at a reduced size.
    reduced: how many of the picture's pixels one of them stands for, across and down alike. The last row and
        column may stand for less.
    """

    def __init__(
        self,
        image: Image.Image,
        stored: Stored | None = None,
        *,
        reduced: int = 1,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Take an image; it is loaded, unless its pixels are `stored` elsewhere.

        size: width and height of the picture that it is a reduced copy of, upright.
        """
        like = image
        if stored is None:
            image.load()
        else:
            like = stored.crop((0, 0, 1, 1))
            like.info["icc_profile"] = image.info.get("icc_profile")
        self.columns, self.rows = upright_size(image)
        self.width, self.height = size or (self.columns, self.rows)
        self.reduced = reduced
        self._stored: Stored | None = stored or image
        self._orientation = orientation_of(image)
        self._to_rgb = conversion_of(like)

    @classmethod
    def of(cls, picture: "Picture | Pixels") -> "Pixels":
        """Return the pixels of an array (H, W, 3), RGB, uint8, or what are pixels already."""
        return picture if isinstance(picture, Pixels) else _OfArray(picture)

    def __getitem__(self, wanted: Rows) -> Picture:
        """Return rows (N, columns, 3): a slice without steps, or ascending numbers."""
        if not isinstance(wanted, slice):
            first = int(wanted[0])
            return self[first : int(wanted[-1]) + 1][wanted - first]
        first, last, _ = wanted.indices(self.rows)
        found = np.empty((last - first, self.columns, 3), np.uint8)
        self._read(first, found)
        return found

    def array(self) -> Picture:
        """Return all of them, (rows, columns, 3)."""
        found = np.empty((self.rows, self.columns, 3), np.uint8)
        for first, last in strips(self.columns, self.rows):
            self._read(first, found[first:last])
        return found

    def image(self) -> Image.Image:
        """Return all of them as an RGB image that may be drawn on; they are forgotten here."""
        image = self._whole()
        is_stored = image is self._stored
        self.forget()
        return image.copy() if is_stored and image.readonly else image

    def resized(self, width: int, height: int, resample: Image.Resampling) -> Image.Image:
        """Return the picture in that size, as that filter of Pillow's with reducing gap 2 makes it.

        Pillow's own image of a picture has four bytes for each pixel, 96 MB for 24 megapixels. So the first
        step of that filter, averaging whole blocks of pixels, is done here on a few rows at a time.
        """
        across, down = max(1, self.columns // (2 * width)), max(1, self.rows // (2 * height))
        small = self._whole() if across == down == 1 else Image.fromarray(self._block_means(across, down))
        # The blocks of the last column and row may reach beyond the picture.
        extent = (0, 0, self.width / self.reduced / across, self.height / self.reduced / down)
        return small.resize((width, height), resample, extent)

    def forget(self) -> None:
        """Give their memory back; they can't be read any more."""
        self._stored = None

    def _whole(self) -> Image.Image:
        """Return all of them as an RGB image that is only read; nothing is copied that is stored so."""
        image = self._stored
        if isinstance(image, Image.Image) and image.mode == "RGB" and self._orientation == 1:
            return image
        return Image.fromarray(self.array())

    def _block_means(self, across: int, down: int) -> Picture:
        """Return the mean of each block of that size; at the far edges, of what is left of it."""
        at_once = _BLOCKS_AT_A_TIME * down
        strips = (Image.fromarray(self[top : top + at_once]) for top in range(0, self.rows, at_once))
        return np.concatenate([np.asarray(strip.reduce((across, down))) for strip in strips])

    def _read(self, first: int, strip: Picture) -> None:
        """Fill a strip, whose first row is the row `first`."""
        if self._stored is None:
            raise RuntimeError(_FORGOTTEN)
        box, turned = _placed(strip, first, self.rows, self._orientation)
        turned[:] = np.asarray(self._to_rgb(self._stored.crop(box)))


class _OfArray(Pixels):
    """An array's pixels. The array is its owner's: forgetting them frees nothing."""

    def __init__(self, picture: Picture) -> None:
        self.rows, self.columns = self.height, self.width = picture.shape[:2]
        self.reduced = 1
        self._stored = None
        self._picture = picture

    def __getitem__(self, wanted: Rows) -> Picture:
        return self._picture[wanted]

    def array(self) -> Picture:
        return self._picture

    def forget(self) -> None:
        """Keep them."""


class DecodedPixels(Pixels):
    """The pixels of an array (H, W, 3), RGB, or (H, W, 1), grey, that lie in it as the file stores them."""

    def __init__(
        self, image: Image.Image, array: Picture, *, reduced: int, size: tuple[int, int] | None
    ) -> None:
        """image: whose pixels they are; it says how they are turned. reduced, size: as in `Pixels`."""
        self.columns, self.rows = upright_size(image)
        self.width, self.height = size or (self.columns, self.rows)
        self.reduced = reduced
        self._stored = None
        self._orientation = orientation_of(image)
        self._array: Picture | None = array

    def forget(self) -> None:
        """Give their memory back; they can't be read any more."""
        self._array = None

    def _whole(self) -> Image.Image:
        array = self._array
        if array is not None and array.shape[2] == 3 and self._orientation == 1:
            return Image.fromarray(array)  # without a copy in between
        return super()._whole()

    def _read(self, first: int, strip: Picture) -> None:
        if self._array is None:
            raise RuntimeError(_FORGOTTEN)
        (left, upper, right, lower), turned = _placed(strip, first, self.rows, self._orientation)
        turned[:] = self._array[upper:lower, left:right]


class StoredPixels(Pixels):
    """The pixels that a file holds, row by row, which is closed when they are forgotten."""

    def __init__(self, file: FileIO, *, columns: int, rows: int) -> None:
        self.columns, self.rows = self.width, self.height = columns, rows
        self.reduced = 1
        self._stored = None
        self._file = file

    def __del__(self) -> None:
        self._file.close()

    def forget(self) -> None:
        """Close the file; they can't be read any more."""
        self._file.close()

    def _read(self, first: int, strip: Picture) -> None:
        if self._file.closed:
            raise RuntimeError(_FORGOTTEN)
        self._file.seek(first * strip[0].nbytes)
        self._file.readinto(strip.data)


def strips(width: int, height: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the one behind the last of each strip of a picture, from the top."""
    at_once = max(1, STRIP_PIXELS // width)
    for first in range(0, height, at_once):
        yield first, min(first + at_once, height)


def _placed(strip: Picture, first: int, rows: int, orientation: int) -> tuple[Box, Picture]:
    """Return which part of the stored picture a strip of the upright one is, and the strip seen like it.

    strip: (N, W, 3), the rows from `first` on of an upright picture that has `rows`.

    The part is left, upper, right, lower. The view is turned as it is stored.
    """
    last = first + len(strip)
    if orientation in _FROM_THE_END:
        first, last = rows - last, rows - first
    across = (0, strip.shape[1])
    (left, right), (upper, lower) = (
        ((first, last), across) if orientation in _TURNED else (across, (first, last))
    )
    return (left, upper, right, lower), _STORED_IN_UPRIGHT[orientation](strip)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and the height that an image has after its orientation is applied."""
    width, height = image.size
    return (height, width) if orientation_of(image) in _TURNED else (width, height)


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation that is left to apply; 1 where EXIF has none or can't be read."""
    if image.format in {"TIFF", "HEIF"}:
        # Their readers turn the picture themselves.
        return 1
    exif = Image.Exif()
    try:
        # Not image.getexif(): it also takes the orientation from XMP, which browsers ignore.
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(ExifTags.Base.Orientation)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
    ):
        return 1
    return orientation if isinstance(orientation, int) and orientation in _STORED_IN_UPRIGHT else 1
