from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flask_detector.structures.masks import Mask
from flask_detector.teach.augment import Augmentation
from flask_detector.teach.bases import NanoDetBase, RTMDetBase
from flask_detector.teach.examples import Example
from tests.support.examples import example

pytestmark = pytest.mark.slow

NANODET = NanoDetBase("nanodet-g")


def picture(tmp_path: Path, class_id: int) -> Example:
    """A grey picture with a rectangle, red for class 0 and blue for class 1."""
    pixels = np.full((384, 480, 3), 100, np.uint8)
    x = 100 + 50 * class_id
    pixels[120:240, x : x + 120] = ((250, 0, 0), (0, 0, 250))[class_id]
    np.save(file := tmp_path / f"{class_id}.npy", pixels)
    scale = 100 / 480
    box = (x * scale, 120 * 80 / 384, (x + 120) * scale, 240 * 80 / 384)
    return example(str(class_id), (class_id, box), file=file)


def test_boxes_and_classes_stay_on_their_objects(tmp_path: Path) -> None:
    examples = [picture(tmp_path, class_id) for class_id in (0, 1, 0, 1)]
    augment, seen, mosaics = Augmentation(NANODET), 0, 0
    for seed in range(6):
        torch.manual_seed(seed)
        pictures, targets = augment(examples)
        assert pictures.shape == (4, 3, NANODET.side, NANODET.side)
        for pixels, target in zip(pictures, targets, strict=True):
            mosaics += len(target.boxes) > 1
            for box, class_id in zip(target.boxes, target.class_ids, strict=True):
                x1, y1, x2, y2 = box.round().int().tolist()
                red, _, blue = pixels[:, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].mean((1, 2)).tolist()
                assert (red > blue + 40) if class_id == 0 else (blue > red + 40)
                # Right around it there is nothing of it.
                around = pixels[:, max(0, y1 - 6) : max(0, y1 - 3), x1 + 3 : x2 - 3].flatten(1)
                assert not around.numel() or (around[0] - around[2]).abs().mean() < 40
                seen += 1
    assert seen > 20
    assert mosaics > 0


def test_a_picture_without_objects_has_no_targets(tmp_path: Path) -> None:
    np.save(tmp_path / "empty.npy", np.zeros((512, 320, 3), np.uint8))

    _, targets = Augmentation(NANODET)([example("empty", file=tmp_path / "empty.npy")] * 2)

    assert [len(target.boxes) + len(target.uncertain) for target in targets] == [0, 0]


def test_masks_stay_on_their_objects(tmp_path: Path) -> None:
    disc = np.hypot(*np.mgrid[-40:40, -50:50]) < 20
    pixels = np.full((512, 640, 3), 100, np.uint8)
    pixels[np.hypot(*np.mgrid[-256:256, -320:320]) < 20 * 6.4] = (250, 0, 0)
    np.save(tmp_path / "disc.npy", pixels)
    one = replace(
        example("disc", (0, (30, 20, 70, 60)), file=tmp_path / "disc.npy"), masks=(Mask.from_bitmap(disc),)
    )
    augment, shares = Augmentation(RTMDetBase("rtmdet-ins-tiny", tmp_path)), []
    for seed in range(3):
        torch.manual_seed(seed)
        pictures, targets = augment([one] * 2)
        for picture, target in zip(pictures, targets, strict=True):
            assert target.masks.shape == (len(target.boxes), 512, 512)
            is_red = picture[0] - picture[2] > 60
            shares.append(((target.masks.any(0) & is_red).sum() / is_red.sum().clamp(min=1)).item())

    assert min(shares) > 0.9
