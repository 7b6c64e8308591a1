"""Variants of TIFF and AVIF that Pillow can't read, decoded by libvips as an image of Pillow's."""

from typing import Any, Final

from PIL import Image

_EIGHT_BITS: Final = "uchar"
_SIXTEEN_BITS: Final = "ushort"
_RGB: Final = 3
# Their numbers are no shares of red, green and blue.
_OTHER_SPACES: Final = {"lab", "labs", "labq", "lch", "xyz", "yxy", "cmc", "cmyk", "hsv"}
_ORIENTATION: Final = "orientation"
_PROFILE: Final = "icc-profile-data"


class ByVips(Image.Image):
    """A picture of which the header is read; its pixels are decoded when they are asked for, upright, in RGB.

    Further bands than three are left out, unless the fourth is transparency, which is laid over white.
    Numbers of other kinds than eight or sixteen bits are stretched from the darkest to the brightest.
    """

    def __init__(self, picture_format: str, data: bytes) -> None:
        """Take a whole file: "TIFF" or "AVIF". Raises OSError where libvips can't read its header."""
        from flask_detector.imaging import vips

        super().__init__()
        loader = "tiffload" if picture_format == "TIFF" else "heifload"
        try:
            self._found: Any = vips.opened(loader, data, fail_on="error", access="random")
        except vips.Error as error:
            raise OSError(str(error)) from error
        self.format = picture_format
        is_turned = self._orientation() > 4
        sides = (self._found.width, self._found.height)
        self._size, self._mode = (sides[1], sides[0]) if is_turned else sides, "RGB"
        if self._found.interpretation in {"srgb", "rgb16"} and self._found.get_typeof(_PROFILE):
            self.info["icc_profile"] = self._found.get(_PROFILE)

    def load(self) -> Any:
        """Decode the pixels, if that is not done yet; raises OSError."""
        from flask_detector.imaging import vips

        if self._found is not None:
            found, self._found = self._found, None
            try:
                numbers = _rgb(found).write_to_memory()
            except vips.Error as error:
                raise OSError(str(error)) from error
            self.im = Image.frombytes("RGB", self.size, numbers).im
        return super().load()

    def _orientation(self) -> int:
        return int(self._found.get(_ORIENTATION)) if self._found.get_typeof(_ORIENTATION) else 1


def _rgb(found: Any) -> Any:
    if found.interpretation in _OTHER_SPACES:
        found = found.colourspace("srgb")
    if found.bands > _RGB + 1:
        found = found.extract_band(0, n=_RGB)
    if found.format == _SIXTEEN_BITS:
        found = found.msb()
    elif found.format != _EIGHT_BITS:
        found = _stretched(found.copy_memory())
    found = found.copy(interpretation="srgb" if found.bands >= _RGB else "b-w")
    if found.hasalpha():
        found = found.flatten(background=255)
    if found.bands < _RGB:
        found = found[0].bandjoin([found[0], found[0]])
    return found.autorot()


def _stretched(found: Any) -> Any:
    lowest, highest = found.min(), found.max()
    if found.format in {"float", "double"} and lowest >= 0 and highest <= 1:
        lowest, highest = 0.0, 1.0
    return ((found - lowest) * (255 / ((highest - lowest) or 1))).rint().cast(_EIGHT_BITS)
