"""An installation's limits hold to the byte and to the pixel."""

import pytest

from flask_detector.errors import EmptyPicture, PictureTooLarge, TooManyPixels
from flask_detector.imaging.limits import Limits
from flask_detector.settings import Settings


def test_an_installation_s_limits_are_those_of_its_settings() -> None:
    settings = Settings.from_environment(max_upload_mb=3, max_megapixels=7)
    assert Limits.of(settings) == Limits(settings.max_upload_bytes, settings.max_pixels)
    assert Limits.of(settings).max_pixels == 7_000_000


def test_what_is_as_large_as_a_limit_is_accepted_and_what_is_larger_refused() -> None:
    limits = Limits(1000, 2000)
    limits.check_bytes(1)
    limits.check_bytes(1000)
    limits.check_pixels(2000)
    with pytest.raises(EmptyPicture):
        limits.check_bytes(0)
    with pytest.raises(PictureTooLarge):
        limits.check_bytes(1001)
    with pytest.raises(TooManyPixels):
        limits.check_pixels(2001)
