"""What a picture tells beside its pixels, such as where it was taken, is in nothing that is served of it."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image, PngImagePlugin, TiffImagePlugin
from pillow_heif import from_pillow
from werkzeug.test import TestResponse

Upload = Callable[..., TestResponse]

# Stands in every kind of metadata of each picture below.
SECRET = "Zugspitze-47.4211-10.9853"
PLAIN = SECRET.encode()
IN_16_BITS = SECRET.encode("utf-16-le")
XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><place>{SECRET}</place></x:xmpmeta>'.encode()


def photo() -> Image.Image:
    random = np.random.default_rng(3)
    return Image.fromarray(random.integers(0, 255, (64, 96, 3), np.uint8).repeat(2, 0).repeat(2, 1))


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010E] = found[0x013B] = found[0x8298] = SECRET
    found.get_ifd(0x8825).update({1: "N", 2: (47.0, 25.0, 16.0), 27: SECRET})
    found.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + PLAIN
    return found


def saved(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    photo().save(file, form, **options)
    return file.getvalue()


def jpeg_with_segments() -> bytes:
    """A JPEG with EXIF, XMP, IPTC, a comment, and bytes after its end."""
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(PLAIN) + 5)
    iptc += b"\x1c\x02\x5a" + struct.pack(">H", len(PLAIN)) + PLAIN
    segments = [(0xED, iptc), (0xFE, PLAIN), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)]
    plain = saved("JPEG", exif=exif())
    extra = b"".join(b"\xff" + bytes([m]) + struct.pack(">H", len(d) + 2) + d for m, d in segments)
    return plain[:2] + extra + plain[2:] + b"after the end: " + PLAIN


def jpeg_of_two() -> bytes:
    """A JPEG with a second picture behind it (MPF), as phones keep depth maps and previews."""
    return saved("MPO", save_all=True, append_images=[photo()], exif=exif()) + PLAIN


def png_with_texts() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", SECRET)
    texts.add_text("Location", SECRET, zip=False)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    whole = saved("PNG", exif=exif(), pnginfo=texts)
    body = b"prVt" + PLAIN  # a chunk of nobody's
    chunk = struct.pack(">I", len(PLAIN)) + body + struct.pack(">I", zlib.crc32(body))
    return whole[:-12] + chunk + whole[-12:] + PLAIN


def heic() -> bytes:
    file = io.BytesIO()
    from_pillow(photo()).save(file, exif=exif().tobytes(), xmp=XMP)
    return file.getvalue()


def gif_with_xmp() -> bytes:
    """A GIF with XMP as an application extension (XMP specification, part 3, 1.1.2)."""
    plain = saved("GIF")
    colours = 3 * 2 ** ((plain[10] & 7) + 1) if plain[10] & 0x80 else 0
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return plain[: 13 + colours] + b"\x21\xff\x0bXMP DataXMP" + XMP + trailer + plain[13 + colours :]


def tiff_with_xmp() -> bytes:
    """A TIFF with XMP, IPTC and Photoshop's blocks."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[700], tags[33723], tags[34377] = XMP, PLAIN, PLAIN
    return saved("TIFF", tiffinfo=tags)


def bmp_with_a_tail() -> bytes:
    return saved("BMP") + PLAIN


FILES: dict[str, Callable[[], bytes]] = {
    "a.jpg": jpeg_with_segments,
    "two.jpg": jpeg_of_two,
    "a.png": png_with_texts,
    "a.webp": lambda: saved("WEBP", exif=exif(), xmp=XMP),
    "a.avif": lambda: saved("AVIF", exif=exif(), xmp=XMP),
    "a.heic": heic,
    "a.gif": lambda: saved("GIF", comment=PLAIN),
    "a.tif": lambda: saved("TIFF", exif=exif(), description=SECRET),
    "a.bmp": bmp_with_a_tail,
    "xmp.gif": gif_with_xmp,
    "xmp.tif": tiff_with_xmp,
}


# What a TIFF says of its pixels: TIFF 6.0, sections 3 to 6; 317 is the predictor, 339 the sample format.
TIFF_TAGS = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 339}
TEXTS = {"exif", "xmp", "comment", "XML:com.adobe.xmp", "photoshop", "Comment", "Location"}


def tells(data: bytes) -> bool:
    return PLAIN in data or IN_16_BITS in data


def test_a_heic_is_downloaded_as_a_jpeg(
    client: FlaskClient, upload: Upload, work_off: Callable[[], None]
) -> None:
    address = upload(heic(), "a.heic").headers["Location"]
    work_off()
    download = client.get(f"{address}/download")
    assert download.mimetype == "image/jpeg"
    assert "detected_a.jpg" in download.headers["Content-Disposition"]
    with Image.open(io.BytesIO(download.data)) as image:
        assert (image.format, image.size) == ("JPEG", photo().size)


@pytest.mark.parametrize("name", FILES)
def test_nothing_that_is_served_of_a_picture_tells_where_it_was_taken(
    client: FlaskClient, upload: Upload, work_off: Callable[[], None], name: str
) -> None:
    picture = FILES[name]()
    assert tells(picture)
    address = upload(picture, name).headers["Location"]
    work_off()
    page = client.get(address)
    assert page.status_code == 200
    assert not tells(page.data)
    files = ["/picture", "/thumbnail", "/drawn", "/result.json"]
    files += [f"/download{query}" for query in ("", "?format=jpeg", "?format=png", "?format=webp")]
    for file in files:
        response = client.get(address + file)
        assert response.status_code == 200, file
        assert not tells(response.data), file
        if (response.mimetype or "").startswith("image/"):
            with Image.open(io.BytesIO(response.data)) as image:
                told = set(image.getexif())
                assert told <= (TIFF_TAGS if image.format == "TIFF" else set()), file
                assert {"exif", "xmp", "comment", "XML:com.adobe.xmp", "photoshop"}.isdisjoint(image.info), (
                    file
                )
                assert getattr(image, "n_frames", 1) == 1, file


@pytest.mark.parametrize("name", FILES)
def test_the_exports_hold_no_metadata_either(
    client: FlaskClient, upload: Upload, work_off: Callable[[], None], name: str
) -> None:
    from flask_detector.formats import FORMATS

    address = upload(FILES[name](), name).headers["Location"]
    work_off()
    for export in FORMATS:
        response = client.get(f"{address}/exports/{export}")
        assert response.status_code == 200, export
        assert not tells(response.data), export
