import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flask_detector.detectors.base import BoxOutliner
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.mask_rcnn.model import MaskRCNN
from flask_detector.detectors.mask_rcnn.preprocess import prepare
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Variant
from flask_detector.detectors.openvino_runtime import Precision, cpu_has_bfloat16
from flask_detector.errors import BadParameter, CheckpointError
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits
from flask_detector.imaging.pixels import Picture
from tests.support.masks import mask_iou

LIMITS = Limits(10**8, 10**8)


@pytest.fixture(scope="module")
def detector(converted: Callable[[Variant], Path]) -> MaskRCNN:
    return MaskRCNN(converted(Variant.TORCHVISION_V1), name="mine", precision=Precision.FLOAT32)


@pytest.fixture(scope="module")
def apartment(pictures: Path) -> Picture:
    picture, _ = decode.decode((pictures / "apartment.jpg").read_bytes(), LIMITS)
    return picture


@pytest.fixture(scope="module")
def strip(apartment: Picture) -> Picture:
    """A part that is scaled to a sixth of the pixels of a whole picture."""
    return np.ascontiguousarray(apartment[200:280])


def test_it_tells_name_labels_and_stages(detector: MaskRCNN, strip: Picture) -> None:
    stages: list[str] = []
    found = detector.detect(strip, on_stage=stages.append)
    assert (found.model, detector.labels[:80]) == ("mine", COCO_LABELS)
    assert stages == ["prepare", "features", "proposals", "boxes", "masks", "paste"]
    assert list(found.timings) == stages
    assert found.scores.min() >= detector.default_min_score
    assert found.masks is not None


def test_the_lowest_score_decides_between_nothing_and_a_hundred(detector: MaskRCNN, strip: Picture) -> None:
    nothing = detector.detect(strip, min_score=1.0)
    assert len(nothing) == 0
    assert nothing.masks == ()
    assert len(detector.detect(strip, min_score=0.0)) == 100


def test_its_own_boxes_give_its_own_masks_back(detector: MaskRCNN, strip: Picture) -> None:
    found = detector.detect(strip, min_score=0.05)
    assert len(found) > 10
    assert isinstance(detector, BoxOutliner)

    masks = detector.masks_for_boxes(strip, found.boxes, found.class_ids.tolist())

    height, width = strip.shape[:2]
    overlaps = [
        mask_iou(mask, own, width, height) for mask, own in zip(masks, found.masks or (), strict=True)
    ]
    assert min(overlaps) > 0.98
    # Of a class that it does not know it takes the one that the box head likes best.
    (any_class,) = detector.masks_for_boxes(strip, found.boxes[:1], [None])
    assert any_class.area > 0
    assert detector.masks_for_boxes(strip, found.boxes[:0], []) == ()


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_that_is_none_is_refused(detector: MaskRCNN, strip: Picture, score: float) -> None:
    with pytest.raises(BadParameter):
        detector.detect(strip, min_score=score)


@pytest.mark.parametrize(
    "size",
    [
        (1, 1),
        (1, 20_000),
        pytest.param((20_000, 1), marks=pytest.mark.slow),
        pytest.param((3000, 4000), marks=pytest.mark.slow),
    ],
)
def test_pictures_of_any_size_work(detector: MaskRCNN, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = detector.detect(picture, min_score=0.05)
    assert (found.height, found.width) == size
    found.to_json()


@pytest.mark.slow
def test_threads_that_share_it_get_their_own_answers(detector: MaskRCNN, apartment: Picture) -> None:
    pictures = [apartment, np.ascontiguousarray(apartment[::-1])]
    alone = [detector.detect(picture) for picture in pictures]
    answers: dict[int, list[float]] = {}

    def work(number: int) -> None:
        answers[number] = detector.detect(pictures[number]).scores.tolist()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[number] for number in range(2)] == [found.scores.tolist() for found in alone]


@pytest.mark.slow
@pytest.mark.parametrize("variant", [Variant.MMDET_CAFFE, Variant.TORCHVISION_V2])
def test_bfloat16_gives_nearly_the_maps_of_float32(
    variant: Variant, converted: Callable[[Variant], Path], apartment: Picture
) -> None:
    if not cpu_has_bfloat16():
        pytest.skip("this processor does not compute in bfloat16 itself")
    answers, maps = [], []
    for precision in (Precision.FLOAT32, Precision.BFLOAT16):
        network = MaskRCNN(converted(variant), name="mine", precision=precision)._network
        network.features(prepare(apartment, TRAITS[variant], dtype=network.pixel_type).pixels)
        answers.append(np.concatenate(network.proposals()[0]))
        maps.append(network.maps.table.rows[network.maps.rows_of_cells])
    for exact, near in (answers, maps):
        # bfloat16 keeps 8 bits of a number; the errors of fifty layers add up at random.
        assert np.sqrt(np.mean((exact - near) ** 2)) < 0.05 * exact.std()
        assert np.corrcoef(exact.reshape(-1), near.reshape(-1))[0, 1] > 0.998


def test_a_folder_without_converted_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        MaskRCNN(tmp_path, name="mine")
