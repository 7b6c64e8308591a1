"""How large a picture may be, by its file and by its pixels."""

from dataclasses import dataclass
from typing import Protocol, Self

from flask_detector.errors import EmptyPicture, PictureTooLarge, TooManyPixels


class _Settings(Protocol):
    @property
    def max_upload_bytes(self) -> int: ...

    @property
    def max_pixels(self) -> int: ...


@dataclass(frozen=True)
class Limits:
    """What is accepted: bytes of the file, pixels of the picture. One process uses one pair of limits."""

    max_bytes: int
    max_pixels: int

    @classmethod
    def of(cls, settings: _Settings) -> Self:
        """Return the limits of an installation."""
        return cls(settings.max_upload_bytes, settings.max_pixels)

    def check_bytes(self, count: int) -> None:
        """Raise EmptyPicture or PictureTooLarge for a file of so many bytes, unless it is accepted."""
        if count == 0:
            raise empty()
        if count > self.max_bytes:
            raise self.too_large(f"{count / 1e6:.1f}")

    def check_pixels(self, count: int) -> None:
        """Raise TooManyPixels for a picture of so many, unless it is accepted."""
        if count > self.max_pixels:
            raise self.too_many_pixels(f"{count / 1e6:.1f}")

    def too_large(self, megabytes: str) -> PictureTooLarge:
        """Return the error for a file of so many megabytes."""
        return PictureTooLarge(
            f"The file has {megabytes} MB; at most {self.max_bytes / 1e6:g} are accepted here."
        )

    def too_many_pixels(self, millions: str) -> TooManyPixels:
        """Return the error for a picture of so many million pixels."""
        return TooManyPixels(
            f"The picture has {millions} million pixels; at most {self.max_pixels / 1e6:g} are accepted here."
        )


def empty() -> EmptyPicture:
    """Return the error for a file without bytes."""
    return EmptyPicture("The file is empty.")
