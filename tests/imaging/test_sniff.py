"""Files that can't be read are called what they are, with what to do."""

import struct

import numpy as np
import pytest

from flask_detector.errors import NotAPicture, PictureError, UnsupportedPicture
from flask_detector.imaging.decode import check
from flask_detector.imaging.limits import Limits

LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)

PICTURES = {
    "Canon": b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom",
    "raw file of a Canon camera": b"II\x1a\x00\x00\x00HEAPCCDR",
    "Fujifilm": b"FUJIFILMCCD-RAW 0201FF389501X-T3",
    "Olympus": b"IIRO\x08\x00\x00\x00",
    "Panasonic": b"IIU\x00\x18\x00\x00\x00",
    "Sigma": b"FOVb\x03\x00\x02\x00",
    "JPEG XL": b"\xff\x0a\xfa\x1f",
    "JPEG XL picture": b"\x00\x00\x00\x0cJXL \r\n\x87\n",
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    "Photoshop": b"8BPS\x00\x01",
    "SVG": b"<?xml version='1.0'?>\n<!-- made by hand -->\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "icon": b"\x00\x00\x01\x00\x01\x00" + bytes(16),
    "OpenEXR": b"v/1\x01\x02\x00",
    "PGM": b"P5\n640 480\n255\n",
    "DICOM": bytes(128) + b"DICM",
}
OTHERS = {
    "PDF": b"%PDF-1.7\n",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "video": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    "a video": b"\x1aE\xdf\xa3\x01\x00",
    "AVI, a video": b"RIFF\x24\x00\x00\x00AVI LIST",
    "sound": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "ZIP": b"PK\x03\x04\x14\x00",
    "compressed": b"\x1f\x8b\x08\x00",
    "macOS": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
    "web page": b"\n<!DOCTYPE html><html><head>",
    "as text": b"data:image/png;base64,iVBORw0KGgo=",
}
UNKNOWN = [b"hello", b"BMX drivers", b"P3 is a gene", b"Get free pictures", b"<xml/>", bytes(300), b"ID"]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_another_format_is_named_with_a_way_to_convert_it(name: str) -> None:
    with pytest.raises(UnsupportedPicture) as refused:
        check(PICTURES[name] + bytes(300), LIMITS)
    assert name.split(",", maxsplit=1)[0] in refused.value.message
    assert "JPEG" in refused.value.hint


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_is_no_picture_is_named_with_what_to_do(name: str) -> None:
    with pytest.raises(NotAPicture) as refused:
        check(OTHERS[name] + bytes(300), LIMITS)
    assert name.rsplit(", ", maxsplit=1)[-1] in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("data", UNKNOWN)
def test_nothing_is_said_of_what_nobody_knows(data: bytes) -> None:
    with pytest.raises(NotAPicture, match="not a picture of a known format"):
        check(data, LIMITS)


def bmp(masks: tuple[int, int, int]) -> bytes:
    pixels = np.arange(12, dtype="<u4").tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, 4, 3, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    header += struct.pack("<3I", *masks)
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels


def test_a_rare_kind_of_a_known_format_is_refused_as_one() -> None:
    for data in (bmp((0x3FF00000, 0xFFC00, 0x3FF)), bmp((0xF00, 0xF0, 0xF))):
        with pytest.raises(UnsupportedPicture, match="BMP picture of a rare kind") as refused:
            check(data, LIMITS)
        assert "Save it as JPEG" in refused.value.hint


def test_unsupported_is_a_picture_s_error() -> None:
    assert issubclass(UnsupportedPicture, PictureError)
    assert UnsupportedPicture.code == "unsupported_picture"
