"""Extensions before a GIF's picture are in nobody's way, legal or odd."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from flask_detector.errors import DamagedPicture
from flask_detector.imaging.decode import check, decode
from flask_detector.imaging.limits import Limits

LIMITS = Limits(max_bytes=25_000_000, max_pixels=1_000_000)

EXTENSIONS = {
    "of text without blocks": b"!\x01\0",
    "comment without blocks": b"!\xfe\0",
    "application's without blocks": b"!\xff\0",
    "graphic control without blocks": b"!\xf9\0",
    "graphic control that is too short": b"!\xf9\1\1\0",
    "of an unknown label, without blocks": b"!\x42\0",
    "of an unknown label": b"!\x42\3abc\5hello\0",
    "of the label 0": b"!\0\0",
    "application's name alone": b"!\xff\x0bNETSCAPE2.0\0",
    "application's name that is short": b"!\xff\x03abc\0",
    "repetitions": b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0",
    "text to draw": b"!\x01\x0c" + bytes(12) + b"\5hello\0",
    "several": b"!\xfe\0!\xfe\3abc\0!\x01\0!\xff\0",
    "large data of a program": b"!\xff\x0bXMP DataXMP" + (b"\x01x" * 50_000) + b"\0",
}


def gif(*, is_transparent: bool = False) -> tuple[bytes, int, npt.NDArray[np.uint8]]:
    """Return a GIF, where its extensions begin, and its pixels over white."""
    numbers = (np.arange(16 * 24).reshape(16, 24) // 5 % 16).astype(np.uint8)
    image = Image.fromarray(numbers, "P")
    colours = np.arange(48, dtype=np.uint8) * 5
    image.putpalette(colours.tobytes())
    file = io.BytesIO()
    image.save(file, "GIF", **({"transparency": 3} if is_transparent else {}))
    data = file.getvalue()
    expected = colours.reshape(16, 3)[numbers]
    if is_transparent:
        expected[numbers == 3] = 255
    return data, 13 + 3 * (2 << (data[10] & 7)), expected


@pytest.mark.parametrize("is_transparent", [False, True])
@pytest.mark.parametrize("kind", EXTENSIONS)
def test_an_extension_changes_nothing(kind: str, is_transparent: bool) -> None:
    data, place, expected = gif(is_transparent=is_transparent)
    extended = data[:place] + EXTENSIONS[kind] + data[place:]

    picture, info = decode(extended, LIMITS)

    assert np.array_equal(picture, expected)
    assert check(extended, LIMITS) == info


@pytest.mark.parametrize("extension", [b"!\xfe\1a\0", b"!\xfe\0"])
def test_extensions_without_end_are_given_up(extension: bytes) -> None:
    data, place, _ = gif()
    with pytest.raises(DamagedPicture):
        check(data[:place] + extension * 1_000_000 + data[place:], LIMITS)


def test_what_ends_within_an_extension_is_damaged() -> None:
    data, place, _ = gif()
    for end in (b"!", b"!\xfe", b"!\xfe\x05ab", b"!\xf9\x04\0\0"):
        with pytest.raises(DamagedPicture):
            check(data[:place] + end, LIMITS)
    with pytest.raises(DamagedPicture):
        check(data[:11], LIMITS)
