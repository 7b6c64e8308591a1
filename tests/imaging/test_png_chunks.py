"""PNG files whose pixels are whole and whose other parts are not."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from flask_detector.errors import DamagedPicture, UnsupportedPicture
from flask_detector.imaging import encode, large_pictures
from flask_detector.imaging.decode import check, decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.png_chunks import SIGNATURE, check_whole

LIMITS = Limits(max_bytes=25_000_000, max_pixels=1_000_000)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# Every ancillary chunk of the standard and its extensions, and some that nobody knows.
ANCILLARY = [
    *(
        b"cHRM",
        b"gAMA",
        b"iCCP",
        b"sBIT",
        b"sRGB",
        b"cICP",
        b"mDCV",
        b"cLLI",
        b"bKGD",
        b"hIST",
        b"pHYs",
        b"sPLT",
    ),
    *(
        b"eXIf",
        b"tIME",
        b"tEXt",
        b"zTXt",
        b"iTXt",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"oFFs",
        b"pCAL",
        b"sCAL",
        b"gIFg",
    ),
    *(b"vpAg", b"prVt", b"caBX", b"orNT", b"iDOT"),
]


def chunk(kind: bytes, body: bytes, *, checksum: int | None = None) -> bytes:
    right = zlib.crc32(kind + body)
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", right if checksum is None else checksum)
    )


def png(mode: str = "RGB", **options: Any) -> bytes:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8))
    file = io.BytesIO()
    (image.quantize(16) if mode == "P" else image.convert(mode)).save(file, "PNG", **options)
    return file.getvalue()


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], len(SIGNATURE)
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def with_chunk(data: bytes, extra: bytes, *, before: bytes) -> bytes:
    at = data.index(before) - 4
    return data[:at] + extra + data[at:]


LARGE = bytes(1_200_000)
INFLATES = zlib.compress(bytes(5_000_000))
BODIES: dict[str, Callable[[bytes], bytes]] = {
    "wrong checksum": lambda kind: chunk(kind, b"\0\0\xb1\x8f", checksum=1),
    "empty": lambda kind: chunk(kind, b""),
    "a byte": lambda kind: chunk(kind, b"\xff"),
    "meaningless": lambda kind: chunk(kind, bytes(range(200))),
    "over a megabyte": lambda kind: chunk(kind, b"name\0\0" + LARGE),
    "inflates to megabytes": lambda kind: chunk(kind, b"name\0\0" + INFLATES),
    "broken within": lambda kind: chunk(kind, b"name\0\0" + INFLATES[:-9]),
    "text that is compressed": lambda kind: chunk(kind, b"k\0\1\0\0\0" + INFLATES),
}


@pytest.fixture(scope="module")
def control() -> bytes:
    return png()


@pytest.mark.parametrize("case", BODIES)
def test_damage_in_an_ancillary_chunk_is_none(case: str, control: bytes) -> None:
    expected = decode(control, LIMITS)[0]
    drawn, _ = encode.transcode(control, LIMITS, "PNG")
    for kind in ANCILLARY:
        for before in (b"IDAT", b"IEND"):
            data = with_chunk(control, BODIES[case](kind), before=before)
            assert (check(data, LIMITS).width, check(data, LIMITS).height) == (60, 40)
            np.testing.assert_array_equal(decode(data, LIMITS)[0], expected, err_msg=f"{kind!r} {before!r}")
        assert encode.transcode(data, LIMITS, "PNG")[0] == drawn


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_wrong_checksum_takes_nothing_from_transparency_profile_and_turn(mode: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    transparency = {"L": 7, "P": bytes(range(16)), "RGB": (1, 2, 3)}[mode]
    control = png(mode, exif=exif, icc_profile=SRGB, transparency=transparency)
    expected, info = decode(control, LIMITS)
    parts = chunks(control)
    assert {b"tRNS", b"iCCP", b"eXIf"} < {kind for kind, _ in parts}

    damaged = SIGNATURE + b"".join(
        chunk(kind, body, checksum=None if kind[:1].isupper() else 1) for kind, body in parts
    )

    picture, same = decode(damaged, LIMITS)
    assert same == info
    assert picture.shape == (60, 40, 3)
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize("length", [0, 1, 3, 5, 7, 300])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_transparency_of_a_wrong_length_is_left_out(mode: str, length: int) -> None:
    control = png(mode)
    data = with_chunk(control, chunk(b"tRNS", b"\xff" * length), before=b"IDAT")

    np.testing.assert_array_equal(decode(data, LIMITS)[0], decode(control, LIMITS)[0])


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"IEND"], ids=lambda kind: kind.decode())
def test_damage_in_a_critical_chunk_is_told(kind: bytes) -> None:
    parts = chunks(png("P"))
    data = SIGNATURE + b"".join(chunk(k, body, checksum=1 if k == kind else None) for k, body in parts)

    for read in (check, decode):
        with pytest.raises(DamagedPicture):
            read(data, LIMITS)


def test_pixels_that_were_changed_without_their_checksum_are_noticed() -> None:
    data = bytearray(png(compress_level=0))
    data[len(data) // 2] ^= 0x40

    with pytest.raises(DamagedPicture):
        decode(bytes(data), LIMITS)


@pytest.mark.parametrize("behind", [False, True], ids=["before its pixels", "behind its pixels"])
def test_a_turn_is_applied_wherever_it_stands(behind: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    control = png()
    turn = chunk(b"eXIf", exif.tobytes()[6:])
    data = with_chunk(control, turn, before=b"IEND" if behind else b"IDAT")
    expected = np.rot90(decode(control, LIMITS)[0])
    for most in (large_pictures.LARGE_PIXELS, 0):
        monkeypatch.setattr(large_pictures, "LARGE_PIXELS", most)
        assert check(data, LIMITS).width == 40
        np.testing.assert_array_equal(decode(data, LIMITS)[0], expected)


def test_an_animation_with_broken_frames_is_its_first_picture() -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue", "green")]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    parts = chunks(file.getvalue())
    broken = SIGNATURE + b"".join(
        chunk(kind, body[:5] if kind in {b"fdAT", b"fcTL"} else body, checksum=None) for kind, body in parts
    )

    assert decode(broken, LIMITS)[0][0, 0].tolist() == [255, 0, 0]


def test_texts_and_profiles_that_would_inflate_to_hundreds_of_megabytes_cost_nothing() -> None:
    bomb = zlib.compress(bytes(20_000_000), 9) * 1000  # a stream that ends early, and one that doesn't
    endless = zlib.compressobj(9)
    body = b"".join(endless.compress(bytes(10_000_000)) for _ in range(10)) * 5
    data = png()
    for kind in (b"zTXt", b"iCCP", b"iTXt"):
        data = with_chunk(data, chunk(kind, b"n\0\0" + body), before=b"IDAT")
        data = with_chunk(data, chunk(kind, b"n\0\0" + bomb[:1_000_000]), before=b"IDAT")
    tracemalloc.start()
    decode(data, LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000, "the file has 4 MB, and a copy of its part is made"


def test_the_cases_from_outside_equal_their_control(shared: Path) -> None:
    cases = shared / "cases"
    control, _ = decode((cases / "png_ok_control.png").read_bytes(), LIMITS)
    for name in ("png_bad_crc_gama.png", "png_ztxt_2MB.png"):
        np.testing.assert_array_equal(decode((cases / name).read_bytes(), LIMITS)[0], control)


def test_a_file_that_is_packed_for_iphones_is_refused_with_the_way_back() -> None:
    packed = with_chunk(png("RGBA"), chunk(b"CgBI", b"\x50\0\x20\2"), before=b"IHDR")
    for read in (check, decode):
        with pytest.raises(UnsupportedPicture, match="iPhone") as refused:
            read(packed, LIMITS)
        assert "-revert-iphone-optimizations" in refused.value.hint


def packed(lines: list[bytes], *, size: tuple[int, int], interlaced: bool = False) -> bytes:
    """A PNG file of grey pixels whose stream holds these lines and ends as it should."""
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, interlaced)
    body = zlib.compress(b"".join(lines))
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("rows", [0, 1, 20, 39])
def test_pixels_that_end_too_soon_are_damage_though_their_stream_ends_as_it_should(rows: int) -> None:
    line = b"\0" + bytes(range(60))
    assert decode(packed([line] * 40, size=(60, 40)), LIMITS)[0].shape == (40, 60, 3)
    with pytest.raises(DamagedPicture):
        decode(packed([line] * rows, size=(60, 40)), LIMITS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (61, 43)])
def test_the_length_of_whole_pixels_is_known(mode: str, size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG")
    check_whole(file.getvalue())
    with pytest.raises(OSError, match="missing"):
        check_whole(_one_row_less(file.getvalue()))


def test_interlaced_pixels_are_counted_by_pass() -> None:
    # 8x8: lines of 1, 1, 2, 2, 4, 4 and 8 pixels, and each line's filter; 1, 1, 1, 2, 2, 4 and 4 of them.
    length = 2 + 2 + 3 + 2 * 3 + 2 * 5 + 4 * 5 + 4 * 9
    whole = packed([bytes(length)], size=(8, 8), interlaced=True)
    check_whole(whole)
    with pytest.raises(OSError, match="1 bytes of pixels are missing"):
        check_whole(packed([bytes(length - 1)], size=(8, 8), interlaced=True))


def _one_row_less(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        height = image.height
    start = data.index(b"IHDR")
    taller = data[start + 4 : start + 8] + struct.pack(">I", height + 1) + data[start + 12 : start + 17]
    return data[: start - 4] + chunk(b"IHDR", taller) + data[start + 21 :]
