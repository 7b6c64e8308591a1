"""Pascal VOC data sets are read, with masks where they have any."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.datasets import folder, read, said, zipped
from tests.support.pictures import picture


def voc(*objects: str, name: str = "a.jpg", size: str = "<width>64</width><height>48</height>") -> str:
    return (
        f"<annotation>\n<filename>{name}</filename>\n<size>{size}<depth>3</depth></size>\n"
        + "\n".join(objects)
        + "\n</annotation>"
    )


def thing(label: str, *sides: object) -> str:
    box = "".join(f"<{name}>{side}</{name}>" for name, side in zip(SIDES, sides, strict=True))
    return f"<object><name>{label}</name><bndbox>{box}</bndbox></object>"


SIDES = ("xmin", "ymin", "xmax", "ymax")


def test_the_official_layout_gives_pictures_masks_and_splits(tmp_path: Path) -> None:
    masks = Image.new("P", (64, 48))
    masks.putpalette(list(range(256)) * 3)
    values = np.zeros((48, 64), np.uint8)
    values[10:20, 5:15], values[10:20, 15:16], values[30:40, 30:50] = 1, 255, 2
    masks.putdata(values.ravel().tolist())
    file = io.BytesIO()
    masks.save(file, "PNG")
    root = "VOCdevkit/VOC2012"
    files = {
        f"{root}/Annotations/a.xml": voc(thing("cat", 6, 11, 15, 20), thing("dog", 31, 31, 50, 40)),
        f"{root}/Annotations/b.xml": voc(name="b"),
        f"{root}/JPEGImages/a.jpg": picture(),
        f"{root}/JPEGImages/b.jpg": picture(),
        f"{root}/SegmentationObject/a.png": file.getvalue(),
        f"{root}/SegmentationClass/a.png": file.getvalue(),
        f"{root}/ImageSets/Main/train.txt": "a\n",
        f"{root}/ImageSets/Main/val.txt": "b\n",
        f"{root}/ImageSets/Main/cat_train.txt": "a 1\n",
    }
    pictures, opened = read(zipped(tmp_path / "set.zip", files))
    assert (opened.format, said(opened)) == ("Pascal VOC", [])
    assert {one.name: one.split for one in pictures.values()} == {"a.jpg": "train", "b.jpg": "val"}
    cat, dog = pictures[f"{root}/JPEGImages/a.jpg"].annotations.objects
    assert (cat.label, cat.box, cat.mask and cat.mask.area) == ("cat", (5, 10, 15, 20), 100)
    assert (dog.label, dog.box, dog.mask and dog.mask.area) == ("dog", (30, 30, 50, 40), 200)


def test_files_that_other_programs_write_are_read(tmp_path: Path) -> None:
    files = {
        # labelImg counts from 0 and gives a path of its own; ImageNet's sizes are 0; others have fractions.
        "a.xml": "\ufeff" + voc(thing("cat", 0, 0, 64, 48), name="C:\\Users\\x\\a.jpg"),
        "a.jpg": picture(),
        "b.xml": voc(thing("cat", 1.5, 2, 9.25, 9), name="%s", size="<width>0</width><height>0</height>"),
        "b.jpg": picture(),
    }
    pictures, opened = read(folder(tmp_path, files))
    assert said(opened) == []
    assert [one.annotations.objects[0].box for one in pictures.values()] == [
        (0, 0, 64, 48),
        (0.5, 1, 9.25, 9),
    ]


def test_what_is_broken_is_left_out_and_named_by_its_line(tmp_path: Path) -> None:
    objects = [
        thing("cat", 1, 2, 3, 4),
        "<object><name>cat</name></object>",
        thing("", 1, 2, 3, 4),
        thing("cat", 9, 9, 5, 5),
        thing("cat", "nan", 9, 5, 5),
        thing("cat", 100, 9, 120, 15),
        "<object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object>",
    ]
    files = {
        "a.xml": voc(*objects),
        "a.jpg": picture(),
        "b.xml": voc(name="b.jpg")[:-8],
        "c.xml": '<!DOCTYPE x [<!ENTITY a "aa">]>' + voc(thing("&a;", 1, 2, 3, 4), name="a.jpg"),
        "d.xml": voc(name="missing.jpg"),
        "e.xml": '<?xml version="1.0" encoding="martian"?>' + voc(),
    }
    pictures, opened = read(folder(tmp_path, files))
    assert [one.box for one in pictures["a.jpg"].annotations.objects] == [(0, 1, 3, 4)]
    assert sorted(said(opened)) == [
        "a.xml, line 10 has something else than numbers for its place",
        "a.xml, line 5 has no bndbox",
        "a.xml, line 6 has no label",
        "a.xml, line 7 has a box without an area",
        "a.xml, line 8 has something else than numbers for its place",
        "a.xml, line 9 lies outside the picture",
        "b.xml is not XML at line 5 (unclosed token)",
        "c.xml has a document type, which is not read",
        "d.xml is for missing.jpg, which is not there",
        "e.xml is in an encoding that is not known",
    ]


def test_outlines_are_read_as_roboflow_and_x_anylabeling_write_them(tmp_path: Path) -> None:
    corners = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate(RING, 1))
    outlined = thing("cat", 3, 5, 20, 30).replace("</object>", f"<polygon>{corners}</polygon></object>")
    broken = thing("dog", 3, 5, 20, 30).replace("</object>", "<polygon><x1>1</x1></polygon></object>")
    files = {"a.xml": voc(outlined, broken), "a.jpg": picture()}
    pictures, opened = read(folder(tmp_path, files))
    (one,) = pictures["a.jpg"].annotations.objects
    assert (one.label, one.box, one.mask and one.mask.area) == ("cat", (2, 4, 20, 30), 200)
    assert [remark.where for remark in opened.left_out] == ["a.xml, line 5"]


RING = [(5, 5), (15, 5), (15, 25), (5, 25)]


def test_masks_of_another_size_are_left_out_and_the_boxes_stay(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("P", (10, 10)).save(file, "PNG")
    files = {
        "Annotations/a.xml": voc(thing("cat", 1, 2, 3, 4)),
        "JPEGImages/a.jpg": picture(),
        "SegmentationObject/a.png": file.getvalue(),
    }
    pictures, opened = read(folder(tmp_path, files))
    assert [one.mask for one in pictures["JPEGImages/a.jpg"].annotations.objects] == [None]
    assert said(opened) == [
        "SegmentationObject/a.png has a mask that is not of 64x48 pixels with a number each"
    ]
