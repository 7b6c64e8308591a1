"""Data sets, whatever the format: names, pictures, and little memory."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from flask_detector.formats import FORMATS, dataset
from flask_detector.formats.file_names import UniqueNames, safe_name
from flask_detector.structures.detections import Detections

WITH_PICTURES = {
    "coco": "images/",
    "coco-rle": "images/",
    "yolo": "images/",
    "yolo-seg": "images/",
    "voc": "JPEGImages/",
    "labelme": "",
    "labelme-polygons": "",
    "cvat": "images/",
    "label-studio": "images/",
}


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_go_along_where_the_format_expects_them(name: str, with_masks: Detections) -> None:
    items: list[dataset.Item] = [
        ("a.jpg", with_masks, b"bytes"),
        ("b.png", with_masks, io.BytesIO(b"file")),
        ("c.jpg", with_masks, None),
    ]
    archive = zipfile.ZipFile(io.BytesIO(dataset.write(name, items)))
    assert archive.testzip() is None
    if name in WITH_PICTURES:
        assert archive.read(f"{WITH_PICTURES[name]}a.jpg") == b"bytes"
        assert archive.read(f"{WITH_PICTURES[name]}b.png") == b"file"
    assert [path for path in archive.namelist() if path.endswith((".jpg", ".png"))] == (
        [f"{WITH_PICTURES[name]}a.jpg", f"{WITH_PICTURES[name]}b.png"] if name in WITH_PICTURES else []
    )


@pytest.mark.parametrize(
    ("filename", "format", "named"),
    [
        ("a", "JPEG", "a.jpg"),
        ("a", "PNG", "a.png"),
        ("a.JPG", "JPEG", "a.JPG"),
        ("a.jpeg", "JPEG", "a.jpeg"),
        ("a.jfif", "JPEG", "a.jpg"),
        ("a.png", "JPEG", "a.jpg"),
        ("a.jpg", "WEBP", "a.webp"),
        ("a.tiff", "TIFF", "a.tiff"),
        ("a", "TIFF", "a.tif"),
        ("holiday.v2", "PNG", "holiday.v2.png"),
        ("写真", "GIF", "写真.gif"),
        (".jpg", "JPEG", "jpg.jpg"),
        ("...", "BMP", "picture.bmp"),
        ("CON", "AVIF", "_CON.avif"),
        ("x" * 300, "JPEG", "x" * 236 + ".jpg"),
    ],
)
@pytest.mark.parametrize("is_open_file", [False, True])
def test_a_picture_has_the_suffix_of_its_content(
    filename: str, format: str, named: str, is_open_file: bool, with_masks: Detections
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, format)
    data = file.getvalue()
    picture = io.BytesIO(data) if is_open_file else data
    archive = zipfile.ZipFile(io.BytesIO(dataset.write("voc", [(filename, with_masks, picture)])))
    assert archive.read(f"JPEGImages/{named}") == data
    stem = named.rpartition(".")[0]
    annotation = ElementTree.fromstring(archive.read(f"Annotations/{stem}.xml"))
    assert annotation.findtext("filename") == named
    assert archive.read("ImageSets/Main/default.txt").decode() == f"{stem}\n"


@pytest.mark.parametrize("name", FORMATS)
def test_a_data_set_of_nothing_is_a_zip_all_the_same(name: str) -> None:
    archive = zipfile.ZipFile(io.BytesIO(dataset.write(name, [])))
    assert archive.testzip() is None


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_results_make_the_same_bytes(name: str, with_masks: Detections) -> None:
    items = [("a.jpg", with_masks, b"picture")]
    assert dataset.write(name, items) == dataset.write(name, items)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "filename",
    ["../../etc/passwd", "a\udcffb.jpg", "q\"<&>'.jpg", "tab\there\x00.jpg", "图 ü 😀.jpg", "", "."],
)
def test_any_file_name_goes_into_any_format(name: str, filename: str, with_masks: Detections) -> None:
    data = FORMATS[name].write(with_masks, filename)
    if FORMATS[name].media_type == "application/xml":
        ElementTree.fromstring(data)
    elif "json" in FORMATS[name].media_type:
        json.loads(data)
    archive = zipfile.ZipFile(io.BytesIO(dataset.write(name, [(filename, with_masks, b"x")])))
    for path in archive.namelist():
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert path.isprintable()


def test_an_unknown_format_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        dataset.write("pascal", [])


def test_a_data_set_is_streamed_picture_by_picture(with_masks: Detections) -> None:
    asked: list[int] = []

    def items() -> Iterator[dataset.Item]:
        for number in range(5):
            asked.append(number)
            yield f"{number}.jpg", with_masks, bytes([number]) * 100_000

    stream = dataset.stream("coco", items())
    first = next(stream)
    assert asked == [0]
    assert len(first) > 100_000
    rest = list(stream)
    assert all(rest)
    archive = zipfile.ZipFile(io.BytesIO(first + b"".join(rest)))
    assert archive.read("images/4.jpg") == bytes([4]) * 100_000


@pytest.mark.slow
def test_a_gigabyte_of_pictures_does_not_lie_in_memory() -> None:
    """In a process of its own, which may use 400 MB of address space more than before."""
    script = """
import resource
import numpy as np
from flask_detector.structures.detections import Detections
from flask_detector.formats import dataset

box = np.array([[1, 1, 5, 5]], np.float32)
found = Detections(8, 8, box, np.ones(1, np.float32), np.zeros(1, int), ("a",), "m")
class Void:
    size = 0
    def write(self, data):
        self.size += len(data)
def items():
    for number in range(40):
        yield f"{number}.jpg", found, bytes(25_000_000)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000,) * 2)
void = Void()
dataset.write_to(void, "coco", items())
print(void.size)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) > 40 * 25_000_000


@pytest.mark.parametrize(
    ("filename", "safe"),
    [
        ("cat.jpg", "cat.jpg"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("../x/cat.jpg", "cat.jpg"),
        ("a<b>:c?.jpg", "a_b__c_.jpg"),
        (" .cat. ", "cat"),
        ("...", "picture"),
        ("", "picture"),
        ("CON.jpg", "_CON.jpg"),
        ("con", "_con"),
        ("e\u0301.jpg", "é.jpg"),
    ],
)
def test_a_file_name_is_made_safe_for_every_system(filename: str, safe: str) -> None:
    assert safe_name(filename) == safe


def test_a_long_name_keeps_its_suffix() -> None:
    name = safe_name("ü" * 300 + ".jpeg")
    assert name.endswith("ü.jpeg")
    assert len(name.encode()) <= 255


def test_no_two_pictures_have_one_name_even_without_suffix_and_case() -> None:
    names = UniqueNames()
    given = ["cat.jpg", "Cat.png", "cat-2.jpg", "cat.jpg"]
    assert [names.take(name) for name in given] == ["cat.jpg", "Cat-2.png", "cat-2-2.jpg", "cat-3.jpg"]


def test_csv_has_one_header_for_all(with_masks: Detections) -> None:
    items = [("a.jpg", with_masks, None), ("=b.jpg", with_masks, None)]
    archive = zipfile.ZipFile(io.BytesIO(dataset.write("csv", items)))
    lines = archive.read("detections.csv").decode().splitlines()
    assert len(lines) == 1 + 2 * len(with_masks)
    assert lines[0].startswith("file,label")
    assert lines[-1].startswith("'=b.jpg,")


def test_large_annotations_go_by_way_of_the_disk() -> None:
    """Three hundred pictures with a hundred instances each: more than is kept in memory."""
    count = 100
    found = Detections(
        width=1000,
        height=1000,
        boxes=np.tile(np.array([[1, 2, 3, 4]], np.float32), (count, 1)),
        scores=np.full(count, 0.5, np.float32),
        class_ids=np.zeros(count, np.int64),
        labels=("a",),
        model="m",
    )
    archive = zipfile.ZipFile(
        io.BytesIO(dataset.write("coco", [(f"{i}.jpg", found, None) for i in range(300)]))
    )
    form = json.loads(archive.read("annotations/instances_default.json"))
    assert len(form["annotations"]) == 300 * count
