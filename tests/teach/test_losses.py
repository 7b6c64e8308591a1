from typing import Any

import pytest
import torch

from flask_detector.teach.losses import (
    Cells,
    Targets,
    decode,
    distribution_loss,
    generalised_iou,
    iou,
    loss_of,
)

pytestmark = pytest.mark.slow

NO_MASKS, UNKNOWN = torch.zeros(0, 0, 0, dtype=torch.bool), torch.zeros(0, dtype=torch.bool)
NONE, NO_IDS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


def perfect(boxes: Any, cells: Cells) -> Any:
    """Return logits (P, 44) that decode to the box that each cell is to predict."""
    wanted = boxes[cells.assign(boxes).clamp(min=0)]
    distances = torch.cat([cells.centres - wanted[:, :2], wanted[:, 2:] - cells.centres], 1)
    distances = (distances / cells.strides[:, None]).clamp(0, 9.99)
    shares = (1 - (distances[..., None] - torch.arange(11)).abs()).clamp(min=1e-9)
    return shares.log().flatten(1)


def test_cells_near_the_centre_of_a_box_and_of_its_size_predict_it() -> None:
    cells = Cells(256, 256)
    assigned = cells.assign(torch.tensor([[30.0, 30, 94, 94], [100, 100, 240, 240]]))

    small, large = (cells.strides[assigned == n] for n in (0, 1))
    assert small.min() == 8
    assert large.max() >= 16
    inside = cells.centres[assigned == 0]
    assert ((inside > 30) & (inside < 94)).all()


def test_no_boxes_are_predicted_by_no_cells() -> None:
    assert (Cells(64, 64).assign(NONE) == -1).all()


def test_right_answers_cost_next_to_nothing_and_wrong_ones_much() -> None:
    cells, boxes = Cells(256, 256), torch.tensor([[30.0, 30, 94, 94]])
    targets = [Targets(boxes, torch.tensor([1]), NONE, NO_IDS, NO_MASKS, UNKNOWN)]
    sides = perfect(boxes, cells)[None]
    right = torch.full((1, len(cells.centres), 2), -20.0)
    right[0, cells.assign(boxes) == 0, 1] = 20.0

    best = loss_of(right, sides, targets, cells)

    # Of a distance between two numbers the cross entropy stays.
    assert best < 0.25
    assert loss_of(-right, sides, targets, cells) > 10
    assert loss_of(right, torch.zeros_like(sides), targets, cells) > best + 0.5


def test_an_uncertain_object_teaches_neither_that_it_is_there_nor_that_it_is_not() -> None:
    cells, box = Cells(128, 128), torch.tensor([[20.0, 20, 100, 100]])
    classes = torch.zeros(1, len(cells.centres), 2, requires_grad=True)
    sides = torch.zeros(1, len(cells.centres), 44)

    loss_of(
        classes, sides, [Targets(NONE, NO_IDS, box, torch.tensor([1]), NO_MASKS, UNKNOWN)], cells
    ).backward()

    inside = ((cells.centres > 20) & (cells.centres < 100)).all(1)
    assert (classes.grad[0, inside, 1] == 0).all()
    assert (classes.grad[0, inside, 0] != 0).all()
    assert (classes.grad[0, ~inside] != 0).all()


def test_overlaps_are_those_of_the_papers() -> None:
    a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 1, 3, 3]])

    assert iou(a, b).item() == pytest.approx(1 / 7)
    assert generalised_iou(a, b).item() == pytest.approx(1 / 7 - 2 / 9)
    assert generalised_iou(a, a).item() == pytest.approx(1)


def test_a_distance_between_two_numbers_is_spread_over_both() -> None:
    shares = torch.tensor([0.75 if n == 3 else 0.25 if n == 4 else 1e-12 for n in range(11)])
    logits = shares.log().expand(1, 4, 11)

    boxes = decode(logits, torch.tensor([[100.0, 100]]), torch.tensor([8.0]))

    assert boxes[0].tolist() == pytest.approx([74, 74, 126, 126])
    entropy = -(0.75 * torch.tensor(0.75).log() + 0.25 * torch.tensor(0.25).log())
    assert distribution_loss(logits, torch.full((1, 4), 3.25))[0].tolist() == pytest.approx(
        [entropy.item()] * 4
    )
