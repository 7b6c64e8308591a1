"""A picture can't be used."""

from flask_detector.errors.base import DetectorError


class PictureError(DetectorError, code="bad_picture"):
    """The picture can't be used."""


class NoPicture(PictureError, hint="Choose a picture and send it again."):
    """The request contains no picture."""


class EmptyPicture(PictureError, hint="Check that the file opens on your computer, then send it again."):
    """The file has no bytes."""


class NotAPicture(PictureError, hint="Send a JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF picture."):
    """The file is not in a known picture format."""


class UnsupportedPicture(
    PictureError, hint="Save it as JPEG or 8-bit PNG in an image editor, and send that."
):
    """The file is a picture, but of a kind that is not supported."""


class DamagedPicture(
    PictureError, hint="Send the original again. If it opens in other programs, save it there as JPEG or PNG."
):
    """The file starts as a picture but is cut short or corrupt."""


class PictureTooLarge(PictureError, hint="Send a smaller file, for example a JPEG of the same picture."):
    """The file has more bytes than this installation accepts."""


class TooManyPixels(PictureError, hint="Scale the picture down and send it again."):
    """The picture has more pixels than this installation accepts."""
