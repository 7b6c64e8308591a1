"""CVAT's XML for images is read."""

from pathlib import Path

import numpy as np
import pytest

from flask_detector.datasets import xml_reader
from tests.support.datasets import folder, read, said, zipped
from tests.support.pictures import picture

META = (
    "<meta><job><labels><label><name>cat</name></label><label><name>fish</name></label></labels></job></meta>"
)


def cvat(*shapes: str, name: str = "a.jpg", others: str = "") -> str:
    image = f'<image id="0" name="{name}" subset="Validation" width="64" height="48">'
    inner = "\n".join(shapes)
    return f"<annotations><version>1.1</version>{META}\n{image}\n{inner}\n</image>\n{others}</annotations>"


def test_each_kind_of_area_becomes_an_object(tmp_path: Path) -> None:
    shapes = [
        '<box label="cat" xtl="1.5" ytl="2" xbr="9" ybr="10"><attribute name="c">x</attribute></box>',
        '<polygon label="cat" points="1,1;11.00,1;11,6;1,6"></polygon>',
        '<mask label="cat" rle="0, 2, 1, 3" left="20" top="10" width="3" height="2"></mask>',
        '<box label="fish" xtl="30" ytl="18" xbr="50" ybr="22" rotation="90.0"></box>',
        '<ellipse label="fish" cx="40" cy="24" rx="10.0" ry="5" rotation="90"></ellipse>',
    ]
    files = {"annotations.xml": cvat(*shapes, name="sub dir/a.jpg"), "images/sub dir/a.jpg": picture()}
    pictures, opened = read(zipped(tmp_path / "set.zip", files))
    one = pictures["images/sub dir/a.jpg"]
    assert (opened.format, opened.classes, one.split) == ("CVAT", ("cat", "fish"), "val")
    assert said(opened) == [
        "annotations.xml, line 6 was turned; now an outline",
        "annotations.xml, line 7 was an ellipse; now an outline",
    ]
    boxes = [one.box for one in one.annotations.objects]
    np.testing.assert_allclose(
        boxes,
        [(1.5, 2, 9, 10), (1, 1, 11, 6), (20, 10, 23, 12), (38, 10, 42, 30), (35, 14, 45, 34)],
        atol=0.01,
    )
    areas = [one.mask.area if one.mask else None for one in one.annotations.objects]
    assert areas[:4] == [None, 50, 5, 80]
    assert abs((areas[4] or 0) - np.pi * 50) < 5


def test_what_is_no_area_or_broken_is_left_out_and_named_by_its_line(tmp_path: Path) -> None:
    shapes = [
        '<points label="cat" points="1,1;2,2"></points>',
        '<polyline label="cat" points="1,1;2,2"></polyline>',
        '<cuboid label="cat" xtl1="1"></cuboid>',
        '<tag label="cat"></tag>',
        '<skeleton label="cat"><points label="eye" points="1,1"></points></skeleton>',
        '<box label="cat" xtl="1"></box>',
        '<box xtl="1" ytl="2" xbr="3" ybr="4"></box>',
        '<polygon label="cat" points="1,1;2;3,3"></polygon>',
        '<mask label="cat" rle="0, 2" left="20" top="10" width="3" height="2"></mask>',
        '<mask label="cat" rle="x" left="20" top="10" width="3" height="2"></mask>',
        '<mask label="cat" rle="6" left="62" top="10" width="3" height="2"></mask>',
        '<mask label="cat" rle="-1, 7" left="20" top="10" width="3" height="2"></mask>',
        '<mask label="cat" rle="99999999999999999999" left="2" top="1" width="3" height="2"></mask>',
        '<ellipse label="cat" cx="40" cy="24" rx="0" ry="5"></ellipse>',
    ]
    track = '<track id="0" label="cat"><box frame="0" xtl="1" ytl="2" xbr="3" ybr="4"></box></track>'
    files = {"annotations.xml": cvat(*shapes, others=track), "a.jpg": picture()}
    pictures, opened = read(folder(tmp_path, files))
    assert pictures["a.jpg"].annotations.objects == ()
    lines = [f"annotations.xml, line {n}" for n in range(3, 17)]
    assert [remark.where for remark in opened.left_out] == [*lines, "annotations.xml, line 18"]
    assert opened.left_out[0].reason == "is a points, which is no area"
    assert opened.left_out[-1].reason.startswith("is a track of a video")


def test_pictures_before_the_place_where_a_file_breaks_are_read(tmp_path: Path) -> None:
    text = cvat('<box label="cat" xtl="1" ytl="2" xbr="3" ybr="4"></box>') + "<more>"
    pictures, opened = read(folder(tmp_path, {"annotations.xml": text, "a.jpg": picture()}))
    assert len(pictures["a.jpg"].annotations.objects) == 1
    assert said(opened) == ["annotations.xml is not XML at line 5 (junk after document element)"]


def test_pictures_that_are_missing_are_named(tmp_path: Path) -> None:
    pictures, opened = read(folder(tmp_path, {"annotations.xml": cvat(name="b.jpg"), "a.jpg": picture()}))
    assert list(pictures) == ["a.jpg"]
    assert said(opened) == ["annotations.xml, line 2 (b.jpg) is for b.jpg, which is not there"]


def test_an_entry_of_more_elements_than_a_picture_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xml_reader, "_MOST_ELEMENTS", 100)
    files = {"annotations.xml": cvat(*["<box></box>"] * 101), "a.jpg": picture()}
    assert said(read(folder(tmp_path, files))[1])[0] == (
        "annotations.xml has an entry that is too large, at line 102"
    )
    monkeypatch.setattr(xml_reader, "_MOST_ELEMENTS", 1_000)
    monkeypatch.setattr(xml_reader, "_LONGEST", 1_000)
    monkeypatch.setattr(xml_reader, "_CHUNK", 1_000)
    long = cvat(f'<polygon label="cat" points="{"1,1;" * 1000}"></polygon>')
    left_out = read(folder(tmp_path, files | {"annotations.xml": long}))[1].left_out
    assert left_out[0].reason.startswith("has an entry that is too large")
