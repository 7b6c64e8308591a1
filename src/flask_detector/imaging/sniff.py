"""What a file is, by its first bytes: a format that is read here, or else its name and what to do."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from flask_detector.errors import NotAPicture, PictureError, UnsupportedPicture

_T = TypeVar("_T")

# So many of a file's first bytes tell all that is asked here.
HEAD_BYTES: Final = 16 * 1024

_MEDIA_TYPES: Final = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
_SIGNATURES: Final = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II\x2a\x00": "TIFF",
    b"MM\x00\x2a": "TIFF",
    b"II\x2b\x00": "TIFF",
    b"MM\x00\x2b": "TIFF",
}
# Lengths of the header that follows "BM" and twelve bytes; text may begin with "BM" as well.
_BMP_HEADERS: Final = {12, 40, 52, 56, 64, 108, 124}
# ISO/IEC 23008-12 (HEIF) and the AVIF specification: a file lists the brands that it conforms to. Some list
# only those of the structure, which tell nothing of the pixels: the kind of the first item does.
_AVIF_BRANDS: Final = {b"avif", b"avis"}
_HEIF_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_STRUCTURE_BRANDS: Final = {b"mif1", b"mif2", b"msf1", b"miaf"}
_AV1_ITEM: Final = re.compile(rb"infe.{8,10}av01", re.DOTALL)

_DEVELOP: Final = (
    "Develop it to JPEG or TIFF with the camera's program, darktable or RawTherapee, or send the JPEG that "
    "the camera may have written beside it."
)
_ONE_PICTURE: Final = (
    "Take single pictures out of it and send those, for example with "
    "'ffmpeg -i VIDEO -vf fps=1 picture-%03d.jpg'."
)
_UNPACK: Final = "Unpack it and send the pictures that are in it."
_PAGES: Final = (
    "Save its pages as JPEG or PNG and send those, for example with 'pdftoppm -jpeg -r 150 FILE page'."
)


# How files begin that are pictures, too: regular expressions over bytes, in the letters of Latin-1.
_PICTURES: Final = {
    r"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL picture",
    r"\0\0\0\x0cjP  |\xff\x4f\xff\x51": "a JPEG 2000 picture",
    r"II\xbc": "a JPEG XR picture",
    r"8BPS": "a Photoshop document",
    r"gimp xcf": "a GIMP document",
    r"(?:\xef\xbb\xbf)?\s*(?:<\?xml.{0,2000}?|<!--.{0,2000}?|<!DOCTYPE svg.{0,500}?)*<svg": "an SVG drawing",
    r"\0\0[\x01\x02]\0[^\0]\0": "an icon or a cursor of Windows",
    r"icns": "an icon of macOS",
    r"v/1\x01": "an OpenEXR picture",
    r"#\?(?:RADIANCE|RGBE)": "a Radiance HDR picture",
    r"P[1-7]\s+(?:#|\d|WIDTH)": "a PBM, PGM or PPM picture",
    r"qoif": "a QOI picture",
    r"DDS ": "a DirectDraw texture",
    r"\x0a[\x00-\x05]\x01[\x01\x02\x04\x08]": "a PCX picture",
    r".{128}DICM": "a DICOM file",
    r"SIMPLE  =": "a FITS file",
    r"BPG\xfb": "a BPG picture",
    r"[\x8a\x8b][MJ]NG\r\n": "an MNG or JNG picture",
    r"AT&TFORM": "a DjVu document",
    r"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF": "a drawing of Windows (WMF or EMF)",
}
_RAW_FILES: Final = {
    r"\0...ftypcrx |II\x1a\0\0\0HEAPCCDR": "Canon",
    r"FUJIFILMCCD-RAW": "Fujifilm",
    r"IIR[OS]|MMOR": "Olympus",
    r"IIU\0": "Panasonic or Leica",
    r"FOVb": "Sigma",
    r"\0MRM": "Minolta",
}
# What such a file is that is no picture, and what can be done.
_OTHER_FILES: Final = {
    r"\s*%PDF-": ("a PDF document", _PAGES),
    r"%!PS|\xc5\xd0\xd3\xc6": ("a PostScript document", _PAGES),
    r"\0...(?:ftyp(?!mif|msf|miaf)|moov|mdat|wide|free)|\x1aE\xdf\xa3|RIFF....AVI ": (
        "a video",
        _ONE_PICTURE,
    ),
    r"\0\0\x01[\xba\xb3]|FLV\x01|0&\xb2\x75\x8e\x66\xcf\x11|G.{187}G": ("a video", _ONE_PICTURE),
    r"OggS|ID3|RIFF....WAVE|fLaC": ("a sound file", None),
    r"PK\x03\x04|PK\x05\x06": ("a ZIP archive, or a document kept in one", _UNPACK),
    r"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf\x27\x1c|Rar!|\x28\xb5\x2f\xfd": ("a compressed file", _UNPACK),
    r"\0\x05\x16[\x00\x07]": (
        "a file that macOS keeps beside the picture",
        "Send the one without '._' before its name.",
    ),
    r"version https://git-lfs": (
        "a Git LFS pointer and not the picture",
        "Fetch the picture with 'git lfs pull' and send that.",
    ),
    r"data:image/": ("a picture written as text", "Decode the base64 text and send the bytes."),
    r"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)\b": (
        "a web page",
        "Send the picture itself: its address is often another one than the page's.",
    ),
}


def format_of(head: bytes) -> str | None:
    """Return the format that a file's first HEAD_BYTES tell, or None where it is none of those read here."""
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":
        return _format_of_brands(head)
    return None


def media_type(picture_format: str) -> str:
    """Return the media type of a format, such as "image/jpeg"."""
    return _MEDIA_TYPES[picture_format]


def names_avif(head: bytes) -> bool:
    """Tell whether a file with pixels in AV1 says that it is an AVIF."""
    return bool(_brands(head) & _AVIF_BRANDS)


def refusal(head: bytes) -> PictureError:
    """Return the error for a file that is of no format read here."""
    if (name := _among(_PICTURES, head)) is not None:
        return UnsupportedPicture(f"The file is {name}, which can't be read here.")
    if (maker := _among(_RAW_FILES, head)) is not None:
        return raw_file(maker)
    if (other := _among(_OTHER_FILES, head)) is not None:
        return NotAPicture(f"The file is {other[0]}.", hint=other[1])
    return NotAPicture("The file is not a picture of a known format.")


def raw_file(maker: str | None) -> UnsupportedPicture:
    """Return the error for a camera's raw file that is built as a TIFF."""
    of_camera = f" of a {maker} camera" if maker else " of a camera"
    return UnsupportedPicture(
        f"The file is a raw file{of_camera}: what its sensor saw, with a small preview.", hint=_DEVELOP
    )


def _brands(head: bytes) -> set[bytes]:
    box = head[: int.from_bytes(head[:4], "big")]
    return {box[at : at + 4] for at in (8, *range(16, len(box), 4))}


def _format_of_brands(head: bytes) -> str | None:
    brands = _brands(head)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    if brands & _STRUCTURE_BRANDS:
        return "AVIF" if _AV1_ITEM.search(head, 0, HEAD_BYTES) else "HEIF"
    return None


def _among(known: Mapping[str, _T], head: bytes) -> _T | None:
    """Return what stands under the expression that a file begins by, if there is one."""
    begins = (
        what for pattern, what in known.items() if re.match(pattern.encode("latin-1"), head, re.DOTALL | re.I)
    )
    return next(begins, None)
