import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from flask_detector.detectors.base import Detector
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.nanodet.detector import NanoDet, decode, network_size, resize
from flask_detector.detectors.nanodet.layers import EMBEDDED_MODEL
from flask_detector.detectors.openvino_runtime import Precision, Session, cpu_has_bfloat16, read_graph
from flask_detector.errors import BadParameter, CheckpointError
from flask_detector.structures import boxes as box_geometry
from flask_detector.structures.detections import Detections

DATA = Path(__file__).parent / "data"

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return NanoDet(precision=Precision.FLOAT32)


@pytest.fixture(scope="module")
def pattern() -> Picture:
    """The picture (416, 416, 3) that tools/nanodet_reference.mjs shows to the original network."""
    y, x = np.mgrid[:416, :416]
    in_disc = (x - 130) ** 2 + (y - 200) ** 2 < 90**2
    in_block = (x >= 240) & (x < 380) & (y >= 100) & (y < 330)
    channels = []
    for channel in range(3):
        shade = (x * (3 + channel) + y * (5 - channel) + ((x * y) >> (4 + channel))) & 255
        channels.append(np.where(in_disc, 255 - (shade >> 2), np.where(in_block, shade >> 2, shade)))
    return np.stack(channels, axis=2).astype(np.uint8)


def test_the_network_gives_what_the_original_gives_in_tfjs(pattern: Picture) -> None:
    session = Session(read_graph(EMBEDDED_MODEL), threads=1, precision=Precision.FLOAT32)
    original = np.load(DATA / "nanodet_tfjs.npy")

    scores, sides = session.run([pattern[None]])

    assert scores.shape == (52 * 52 + 26 * 26 + 13 * 13, 80)
    np.testing.assert_allclose(scores[::17], original[:, :80], rtol=0, atol=1e-6)
    np.testing.assert_allclose(sides[::17], original[:, 80:], rtol=0, atol=2e-5)


def test_the_weights_are_bit_for_bit_those_of_the_package() -> None:
    stored = {}
    for node in read_graph(EMBEDDED_MODEL).get_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "Constant" and name.startswith(("PartitionedCall/split", "unknown_")):
            stored[name] = node.get_data().astype(np.float16)
            np.testing.assert_array_equal(stored[name], node.get_data())
    # The first convolution of the original reads blue, green, red.
    stored["PartitionedCall/split"] = stored["PartitionedCall/split"][:, ::-1]

    digest = hashlib.sha256()
    for name in sorted(stored):
        weights = stored[name]
        digest.update((weights.transpose(2, 3, 1, 0) if weights.ndim == 4 else weights).tobytes())

    # Made of nanodet.bin alone: its float16 entries but PadV2/constant_values, in the order of their names.
    assert len(stored) == 68
    assert digest.hexdigest() == "65abd4799d73535cc7435cec834a9e21ec57e9b31046c280d5ba5eea990985aa"


@pytest.mark.parametrize(
    "precision", [Precision.FLOAT32, pytest.param(Precision.BFLOAT16, marks=pytest.mark.slow)]
)
def test_the_average_precision_on_coco_is_at_least_28_percent(precision: Precision, shared: Path) -> None:
    if precision is Precision.BFLOAT16 and not cpu_has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    detector = NanoDet(precision=precision)
    coco = COCO(shared / "coco_val50" / "instances.json")
    category_ids = sorted(coco.getCatIds())
    assert [category["name"] for category in coco.loadCats(category_ids)] == list(COCO_LABELS)

    results = []
    for image in coco.loadImgs(coco.getImgIds()):
        picture = np.asarray(Image.open(shared / "coco_val50" / "images" / image["file_name"]).convert("RGB"))
        for instance in detector.detect(picture, min_score=0.05):
            x1, y1, x2, y2 = instance.box
            results.append(
                {
                    "image_id": image["id"],
                    "category_id": category_ids[instance.class_id],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": instance.score,
                }
            )
    evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()

    assert evaluation.stats[0] >= 0.28


def test_a_street_has_cars_and_people(detector: Detector, pictures: Path) -> None:
    street = np.asarray(Image.open(pictures / "street.jpg").convert("RGB"))

    counts = detector.detect(street).counts()

    assert counts["car"] >= 4
    assert counts["person"] >= 2
    assert set(counts) <= {"car", "truck", "bus", "person", "traffic light", "bench", "handbag"}


@pytest.mark.parametrize(("width", "height"), [(1024, 832), (832, 400), (150, 300)])
def test_the_boxes_are_in_pixels_of_the_picture(
    width: int, height: int, detector: Detector, pattern: Picture
) -> None:
    picture = np.asarray(Image.fromarray(pattern).resize((width, height)))
    network_width, network_height = network_size(width, height)
    as_the_network_sees_it = resize(picture, network_width, network_height)

    found = detector.detect(picture, min_score=0.1)
    expected = detector.detect(as_the_network_sees_it, min_score=0.1)

    assert len(found) > 5
    scale = np.array([width / network_width, height / network_height] * 2)
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.boxes, expected.boxes * scale, rtol=1e-5, atol=1e-3)


def test_a_lower_threshold_only_adds_detections(detector: Detector, pattern: Picture) -> None:
    found = detector.detect(pattern, min_score=0.1)

    fewer = detector.detect(pattern, min_score=0.2)

    assert 0 < len(fewer) < len(found) < 100
    np.testing.assert_array_equal(fewer.boxes, found.over(0.2).boxes)
    np.testing.assert_array_equal(fewer.scores, found.over(0.2).scores)


def test_boxes_of_one_class_overlap_by_half_at_most(detector: Detector, pattern: Picture) -> None:
    found = detector.detect(pattern, min_score=0.02)

    overlaps = box_geometry.iou(found.boxes, found.boxes)
    of_one_class = found.class_ids[:, None] == found.class_ids
    np.fill_diagonal(of_one_class, val=False)
    assert of_one_class.any()
    assert overlaps[of_one_class].max() <= 0.5


def test_with_no_threshold_the_best_hundred_are_kept(detector: Detector, pattern: Picture) -> None:
    found = detector.detect(pattern, min_score=0)

    assert len(found) == 100
    np.testing.assert_array_equal(found.scores[:5], detector.detect(pattern, min_score=0.05).scores[:5])


def test_nothing_found_gives_empty_arrays(detector: Detector) -> None:
    found = detector.detect(np.full((90, 160, 3), 128, np.uint8), min_score=1)

    assert [array.shape for array in (found.boxes, found.scores, found.class_ids)] == [(0, 4), (0,), (0,)]
    assert [str(array.dtype) for array in (found.boxes, found.scores)] == ["float32", "float32"]
    assert str(found.class_ids.dtype) == "int64"
    assert (found.width, found.height) == (160, 90)


@pytest.mark.parametrize("min_score", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_threshold_outside_0_to_1_is_refused(
    min_score: float, detector: Detector, pattern: Picture
) -> None:
    with pytest.raises(BadParameter, match=str(min_score)):
        detector.detect(pattern, min_score=min_score)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 20_000), (20_000, 1), (31, 700), (5000, 33)])
def test_a_picture_of_any_shape_is_taken(width: int, height: int, detector: Detector) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)

    found = detector.detect(picture, min_score=0.01)

    assert (found.width, found.height) == (width, height)


def test_a_picture_of_24_megapixels_is_not_copied() -> None:
    program = """
import resource
import numpy as np
from flask_detector.detectors.nanodet.detector import NanoDet

detector = NanoDet()
large = np.full((4000, 6000, 3), 99, np.uint8)
detector.detect(large[:400, :600])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
detector.detect(large)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown_kilobytes = int(subprocess.check_output([sys.executable, "-c", program]))

    # Pillow's own image of it would take 96 MB.
    assert grown_kilobytes < 24_000


def test_several_threads_may_use_one_detector(detector: Detector, pattern: Picture) -> None:
    pictures = [pattern, pattern[:200], pattern[:, :150], pattern[::-1]]
    alone = [detector.detect(picture, min_score=0.03) for picture in pictures]

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda p: detector.detect(p, min_score=0.03), pictures * 3))

    for found, expected in zip(together, alone * 3, strict=True):
        np.testing.assert_array_equal(found.boxes, expected.boxes)
        np.testing.assert_array_equal(found.scores, expected.scores)
        np.testing.assert_array_equal(found.class_ids, expected.class_ids)


def test_the_stages_are_told_as_they_begin(detector: Detector, pattern: Picture) -> None:
    told: list[str] = []

    found = detector.detect(pattern, on_stage=told.append)

    assert told == ["prepare", "network", "select"]
    assert list(found.timings) == told


def test_a_result_survives_its_journey_as_json(detector: Detector, pattern: Picture) -> None:
    found = detector.detect(pattern, min_score=0.05)

    returned = Detections.from_json(found.to_json())

    assert (returned.model, returned.labels, returned.masks) == ("nanodet-g", COCO_LABELS, None)
    np.testing.assert_array_equal(returned.class_ids, found.class_ids)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (512, 384)),
        ((480, 640), (384, 512)),
        ((640, 427), (512, 352)),
        ((100, 100), (512, 512)),
        ((1, 20_000), (32, 512)),
        ((20_000, 1), (512, 32)),
    ],
)
def test_the_network_sees_multiples_of_32(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert network_size(*size) == expected


@pytest.mark.parametrize(("width", "height"), [(640, 480), (2011, 1603), (700, 5003), (90, 3000), (20, 31)])
def test_resizing_is_just_that_of_pillow(width: int, height: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    size = network_size(width, height)

    expected = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR, reducing_gap=2)

    np.testing.assert_array_equal(resize(picture, *size), np.asarray(expected))


def test_a_box_reaches_the_mean_distance_from_the_centre_of_its_cell() -> None:
    certain = np.full((4, 11), -100, np.float32)
    certain[[0, 1, 2, 3], [1, 0, 2, 3]] = 100
    undecided = np.zeros((4, 11), np.float32)
    sides = np.stack([certain, undecided]).reshape(2, 44)
    # In 64 x 32 there are 8 x 4 cells of stride 8, then 4 x 2 of stride 16.
    second_of_stride_8, last_of_stride_16 = 1, 32 + 7

    boxes = decode(sides, np.array([second_of_stride_8, last_of_stride_16]), 64, 32)

    expected = [[12 - 8, 4 - 0, 12 + 16, 4 + 24], [56 - 80, 24 - 80, 56 + 80, 24 + 80]]
    np.testing.assert_allclose(boxes, expected, rtol=1e-6)


@pytest.mark.parametrize("kept_bytes", [None, 0, 400_000])
def test_weights_that_cannot_be_read_are_named(kept_bytes: int | None, tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    shutil.copyfile(EMBEDDED_MODEL, path)
    if kept_bytes is not None:
        weights = EMBEDDED_MODEL.with_suffix(".bin").read_bytes()
        path.with_suffix(".bin").write_bytes(weights[:kept_bytes])

    with pytest.raises(CheckpointError, match=r"model\.xml"):
        NanoDet(path)


@pytest.mark.parametrize("kept_bytes", [None, 0, 40_000])
def test_a_graph_that_cannot_be_read_is_named(kept_bytes: int | None, tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    shutil.copyfile(EMBEDDED_MODEL.with_suffix(".bin"), path.with_suffix(".bin"))
    if kept_bytes is not None:
        path.write_bytes(EMBEDDED_MODEL.read_bytes()[:kept_bytes])

    with pytest.raises(CheckpointError, match=r"model\.xml"):
        NanoDet(path)


def test_the_engine_reports_to_nobody(tmp_path: Path) -> None:
    program = """
import sys
import numpy as np
from flask_detector.detectors.nanodet.detector import NanoDet

NanoDet().detect(np.zeros((32, 32, 3), np.uint8))
print([name for name, module in sys.modules.items() if "telemetry" in name and module])
"""
    # The engine's reporting is off by itself where CI is set.
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {
        "HOME": str(tmp_path)
    }

    loaded = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)

    assert loaded.strip() == "[]"
    assert list(tmp_path.iterdir()) == []
