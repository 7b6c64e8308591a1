"""A TIFF's picture is its first full page, wherever it lies; what a camera's sensor saw is refused."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flask_detector.errors import DamagedPicture, UnsupportedPicture
from flask_detector.imaging.decode import check, decode
from flask_detector.imaging.limits import Limits

LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)


def tiff(pages: list[dict[int, object]]) -> bytes:
    """Return a TIFF of small grey pages, each of another size, whose directories have these tags more."""
    images = [Image.new("L", (20 + number, 10), 9 + number) for number in range(len(pages))]
    written: list[bytes] = []
    for image, tags in zip(images, pages, strict=True):
        one = io.BytesIO()
        image.save(one, "TIFF", tiffinfo=tags)
        written.append(one.getvalue())
    return joined(written)


def joined(files: list[bytes]) -> bytes:
    """Return the pages of several little-endian TIFF files of one directory each as one file."""
    whole = b"II*\0"
    base = 4
    links: list[int] = []
    body = bytearray(b"\0\0\0\0")
    for data in files:
        start = base + len(body)
        start += start % 2
        body += bytes(start - base - len(body))
        moved, first = shifted(data, start - 8)
        links.append(first)
        body += moved[8:]
    out = bytearray(whole + body)
    out[4:8] = struct.pack("<I", links[0])
    for link, following in zip(links, [*links[1:], 0], strict=True):
        (count,) = struct.unpack_from("<H", out, link)
        struct.pack_into("<I", out, link + 2 + 12 * count, following)
    return bytes(out)


def shifted(data: bytes, by: int) -> tuple[bytes, int]:
    """Return a file whose offsets all are larger by so much, and where its directory is then."""
    out = bytearray(data)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, number, value = struct.unpack_from("<HHII", data, entry)
        size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}[kind] * number
        if size > 4 or tag == 273:
            struct.pack_into("<I", out, entry + 8, value + by)
    return bytes(out), at + by


def test_a_reduced_page_is_passed_over_for_the_picture() -> None:
    data = tiff([{254: 1}, {254: 4}, {254: 0}, {}])

    picture, info = decode(data, LIMITS)

    assert (info.width, picture[0, 0, 0]) == (22, 11)
    assert check(data, LIMITS) == info


@pytest.mark.parametrize("tags", [{}, {254: 0}, {254: 2}])
def test_the_first_full_page_of_several_stays_the_picture(tags: dict[int, object]) -> None:
    assert decode(tiff([tags, {254: 1}, {}]), LIMITS)[1].width == 20


def test_a_page_that_calls_itself_reduced_is_the_picture_where_it_is_alone() -> None:
    assert decode(tiff([{254: 1}]), LIMITS)[1].width == 20


@pytest.mark.parametrize(
    ("case", "data"),
    [
        ("Nikon", lambda: tiff([{254: 1, 271: "NIKON CORPORATION", 50706: b"\1\4\0\0"}])),
        ("a camera", lambda: with_tag(tiff([{}]), 262, 32803)),
        ("a camera", lambda: with_tag(tiff([{}]), 262, 34892)),
        ("a camera", lambda: with_tag(tiff([{}]), 259, 34713)),
        ("a camera", lambda: b"II*\0\x10\0\0\0CR\2\0" + bytes(4) + b"\0\0" + bytes(4)),
    ],
)
def test_a_raw_file_that_is_built_as_a_tiff_is_refused_as_one(case: str, data: object) -> None:
    assert callable(data)
    for read in (check, decode):
        with pytest.raises(UnsupportedPicture, match="raw file") as refused:
            read(data(), LIMITS)
        assert case.lower() in refused.value.message.lower()
        assert "darktable" in refused.value.hint


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """Return a little-endian TIFF with another value of a tag in its first directory."""
    out = bytearray(data)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<H", out, entry + 8, value)
    return bytes(out)


def test_the_raw_file_from_outside_is_refused_as_one(shared: Path) -> None:
    with pytest.raises(UnsupportedPicture, match="raw file of a Nikon camera"):
        check((shared / "cases" / "mini.dng").read_bytes(), LIMITS)


@dataclass(frozen=True)
class Page:
    """A page of one grey, with pages of its own."""

    grey: int
    width: int
    kind: int = 0  # NewSubfileType
    children: tuple["Page", ...] = ()
    compression: int = 1

    def strip(self) -> bytes:
        if self.compression == 1:
            return bytes([self.grey]) * (self.width * 10)
        file = io.BytesIO()
        Image.new("L", (self.width, 10), self.grey).save(file, "JPEG")
        return file.getvalue()


def written(pages: list[Page], *, order: str = "<", big: bool = False) -> bytes:
    """Return a TIFF file, or a BigTIFF, of these pages."""
    letter, size = ("Q", 8) if big else ("I", 4)
    mark = b"II" if order == "<" else b"MM"
    out = bytearray(
        mark + struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 0) if big else (42, 0)))
    )

    def put(page: Page) -> tuple[int, int]:
        """Write a page; return where its directory lies, and the link to the next."""
        inner = [put(child)[0] for child in page.children]
        strip = page.strip()
        at = len(out)
        out.extend(strip + bytes(-len(strip) % 2))
        list_at = len(out)
        out.extend(struct.pack(f"{order}{len(inner)}{letter}", *inner))
        values = {
            254: [page.kind],
            256: [page.width],
            257: [10],
            258: [8],
            259: [page.compression],
            262: [1],
            273: [at],
            277: [1],
            278: [10],
            279: [len(strip)],
            330: inner,
        }
        entries = b"".join(
            struct.pack(f"{order}HH{letter}{letter}", tag, 16 if big else 4, len(found), found[0])
            if len(found) == 1
            else struct.pack(f"{order}HH{letter}{letter}", tag, 16 if big else 4, len(found), list_at)
            for tag, found in values.items()
            if found
        )
        place = len(out)
        out.extend(struct.pack(order + ("Q" if big else "H"), sum(map(bool, values.values()))) + entries)
        out.extend(bytes(size))
        return place, len(out) - size

    link = 8 if big else 4
    for page in pages:
        place, following = put(page)
        struct.pack_into(order + letter, out, link, place)
        link = following
    return bytes(out)


def seen_in(data: bytes) -> tuple[int, int]:
    """Return width and grey of the picture that is read, whose header must say the same."""
    picture, info = decode(data, LIMITS)
    assert check(data, LIMITS) == info
    assert picture.shape == (10, info.width, 3)
    assert np.ptp(picture) <= 1
    return info.width, int(picture[0, 0, 0])


PREVIEW = Page(grey=9, width=8, kind=1)
FULL = Page(grey=200, width=40)


@pytest.mark.parametrize("compression", [1, 7], ids=["plain", "jpeg"])
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True), (">", True)])
def test_the_picture_behind_a_preview_is_read(compression: int, order: str, big: bool) -> None:
    preview = Page(9, 8, kind=1, compression=compression)
    full = Page(200, 40, compression=compression)
    smaller = Page(80, 20, kind=1)

    for children in ((full,), (smaller, full), (full, smaller), (Page(50, 60, kind=4), full)):
        page = Page(9, 8, kind=1, children=children, compression=compression)
        assert seen_in(written([page], order=order, big=big)) == (40, 200)
    assert seen_in(written([preview, full], order=order, big=big)) == (40, 200)


def test_the_smaller_copies_of_a_full_page_are_passed_over() -> None:
    copies = (Page(9, 20, kind=1), Page(9, 10, kind=1), Page(9, 10))

    assert seen_in(written([Page(200, 40, children=copies), Page(7, 90)])) == (40, 200)


def test_a_page_that_has_a_larger_one_of_its_own_is_its_preview() -> None:
    assert seen_in(written([Page(9, 8, children=(FULL,))])) == (40, 200)


def test_the_largest_of_nothing_but_reduced_copies_is_read() -> None:
    pages = [PREVIEW, Page(80, 20, kind=1, children=(Page(120, 30, kind=1),))]

    assert seen_in(written(pages)) == (30, 120)


def test_a_preview_is_not_read_for_a_picture_that_cannot_be() -> None:
    whole = written([Page(9, 8, kind=1, children=(FULL,))])
    link = struct.pack("<HHI", 330, 4, 1)
    for place in (len(whole) + 100, len(whole) - 3):
        at = whole.index(link) + len(link)
        data = whole[:at] + struct.pack("<I", place) + whole[at + 4 :]
        for read in (check, decode):
            with pytest.raises(DamagedPicture):
                read(data, LIMITS)
    jpeg_2000 = Page(200, 40, compression=34712)
    with pytest.raises(UnsupportedPicture, match="rare kind"):
        decode(written([Page(9, 8, kind=1, children=(jpeg_2000,))]), LIMITS)


@pytest.mark.parametrize(
    "pages",
    [
        lambda: [PREVIEW] * 65 + [FULL],
        lambda: [Page(9, 8, kind=1, children=(PREVIEW,) * 65 + (FULL,))],
    ],
    ids=["pages", "pages of a page"],
)
def test_too_many_previews_are_refused(pages: Callable[[], list[Page]]) -> None:
    with pytest.raises(DamagedPicture):
        check(written(pages()), LIMITS)


def test_pages_in_a_circle_come_to_an_end() -> None:
    data = bytearray(written([PREVIEW, PREVIEW]))
    second = data.rindex(struct.pack("<HHII", 254, 4, 1, 1)) - 2
    assert struct.unpack_from("<I", data, len(data) - 4) == (0,)
    struct.pack_into("<I", data, len(data) - 4, second)

    assert seen_in(bytes(data)) == (8, 9)
