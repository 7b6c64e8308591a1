import io
import zipfile
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import yaml

from flask_detector.formats import FORMATS, dataset
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Bitmap


def lines_of(text: str, *, classes: int) -> list[tuple[int, list[float]]]:
    """Read labels by the rules that Ultralytics publishes, and enforces in verify_image_label."""
    lines = []
    for line in text.splitlines():
        number, *numbers = line.split(" ")
        shares = [float(share) for share in numbers]
        assert number.isdigit()
        assert int(number) < classes
        assert all(0 <= share <= 1 for share in shares)
        lines.append((int(number), shares))
    return lines


def read(data: bytes) -> tuple[dict[str, list[tuple[int, list[float]]]], dict[int, str]]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    config = yaml.safe_load(archive.read("data.yaml"))
    assert (config["train"], config["val"]) == ("images", "images")
    assert "path" not in config  # Ultralytics would take a relative one from where it runs
    names: dict[int, str] = config["names"]
    assert list(names) == list(range(len(names)))
    labels = {
        path.removeprefix("labels/"): lines_of(archive.read(path).decode(), classes=len(names))
        for path in archive.namelist()
        if path.startswith("labels/")
    }
    return labels, names


def filled(corners: Sequence[tuple[float, float]], height: int, width: int) -> Bitmap:
    rows, columns = np.mgrid[:height, :width] + 0.5
    crossings = np.zeros((height, width), int)
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y1 != y2:
            between = (min(y1, y2) <= rows) & (rows < max(y1, y2))
            crossings += between & (x1 + (rows - y1) / (y2 - y1) * (x2 - x1) < columns)
    inside: Bitmap = crossings % 2 == 1
    return inside


def test_boxes_are_centres_and_sizes_as_shares_of_the_picture(with_masks: Detections) -> None:
    labels, names = read(FORMATS["yolo"].write(with_masks, "my flat.jpg"))
    assert names[56] == "chair"
    assert [number for number, _ in labels["my flat.txt"]] == [56, 0, 79, 2]
    x, y, width, height = labels["my flat.txt"][0][1]
    assert (x * 64, y * 48, width * 64, height * 48) == pytest.approx((4.625, 4.75, 6.75, 4.5), abs=1e-4)


def test_a_polygon_filled_again_is_the_mask_with_its_holes_and_parts(
    with_masks: Detections, whole: Callable[[Detections], list[Bitmap]]
) -> None:
    labels, _ = read(FORMATS["yolo-seg"].write(with_masks, "a.jpg"))
    for (_, shares), expected in zip(labels["a.txt"][:3], whole(with_masks)[:3], strict=True):
        corners = [(x * 64, y * 48) for x, y in zip(shares[::2], shares[1::2], strict=True)]
        np.testing.assert_array_equal(filled(corners, 48, 64), expected)


def test_without_a_mask_the_polygon_is_the_box(boxes_only: Detections) -> None:
    labels, _ = read(FORMATS["yolo-seg"].write(boxes_only, "a.jpg"))
    shares = labels["a.txt"][3][1]
    expected = [30 / 64, 30 / 48, 33 / 64, 30 / 48, 33 / 64, 32 / 48, 30 / 64, 32 / 48]
    assert shares == pytest.approx(expected, abs=1e-6)


def test_an_empty_mask_has_no_polygon_and_its_box_is_none(with_masks: Detections) -> None:
    labels, _ = read(FORMATS["yolo-seg"].write(with_masks, "a.jpg"))
    assert [number for number, _ in labels["a.txt"]] == [56, 0, 79]


@pytest.mark.parametrize("name", ["yolo", "yolo-seg"])
def test_any_label_stands_in_the_configuration(boxes_only: Detections, name: str) -> None:
    _, names = read(FORMATS[name].write(boxes_only, "a.jpg"))
    assert tuple(names.values()) == boxes_only.labels


def test_labels_that_yaml_can_hardly_hold_are_kept() -> None:
    labels = (
        "no",
        "1",
        "null",
        "tab\there",
        "line\u2028break\x85",
        "\x00\x7f",
        "😀",
        "- {a: [b]} # \\ '\"",
        "",
    )
    none = Detections(
        width=4,
        height=4,
        boxes=np.empty((0, 4), np.float32),
        scores=np.empty(0, np.float32),
        class_ids=np.empty(0, np.int64),
        labels=labels,
        model="m",
    )
    assert tuple(read(FORMATS["yolo"].write(none, "a.jpg"))[1].values()) == labels


def test_nothing_found_is_an_empty_file(nothing: Detections) -> None:
    assert read(FORMATS["yolo"].write(nothing, "a.jpg"))[0] == {"a.txt": []}


def test_a_data_set_has_a_label_file_for_each_picture(with_masks: Detections) -> None:
    items = [("cat.jpg", with_masks, b"one"), ("dir/CAT.png", with_masks, b"two")]
    data = dataset.write("yolo", items)
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.read("images/cat.jpg") == b"one"
    assert archive.read("images/CAT-2.png") == b"two"
    assert list(read(data)[0]) == ["cat.txt", "CAT-2.txt"]
