"""The losses of RTMDet-Ins and their gradients are those of MMDetection's own module on the same batch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flask_detector.detectors.rtmdet.architecture import NORM_EPSILON, architecture_of, owner_of
from flask_detector.detectors.rtmdet.build_graph import network
from flask_detector.teach.losses import Targets
from flask_detector.teach.network import Network
from flask_detector.teach.rtmdet_losses import Answers, assign, losses_of, mask_logits
from tests.support.drawn import drawn
from tests.support.weights import rtmdet_weights
from tools.rtmdet_loss_reference import signs

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data"
HEADS = [f"bbox_head.rtm_{kind}.{level}" for kind in ("cls", "reg", "kernel") for level in range(3)]


def targets(*seeds: int) -> list[Targets]:
    none, no_ids = torch.zeros(0, 4).double(), torch.zeros(0, dtype=torch.long)
    return [
        Targets(
            torch.from_numpy(one.boxes).double(),
            torch.from_numpy(one.class_ids),
            none,
            no_ids,
            torch.from_numpy(one.masks),
            torch.ones(len(one.boxes), dtype=torch.bool),
        )
        for one in map(drawn, seeds)
    ]


def trainable(arrays: Mapping[str, Any]) -> Network:
    shapes = {name: array.shape for name, array in arrays.items()}
    architecture = architecture_of(shapes)
    assert architecture is not None
    weights = {}
    for conv in architecture.convs():
        scale = _scale(conv.name, arrays)
        if conv.norm is None:
            bias = arrays[f"{conv.name}.bias"]
        else:
            bias = arrays[f"{conv.norm}.bias"] - arrays[f"{conv.norm}.running_mean"] * scale.ravel()
        weights[f"{conv.name}.weight"] = (arrays[f"{conv.name}.weight"] * scale).astype(np.float64)
        weights[f"{conv.name}.bias"] = bias.astype(np.float64)
    heads = [*HEADS, "bbox_head.mask_head.projection"]
    served = {name: array.astype(np.float32) for name, array in weights.items()}
    return Network(network(served, architecture), weights, heads, owner_of=owner_of)


def _scale(layer: str, arrays: Mapping[str, Any]) -> Any:
    """Return by what a layer's weight is multiplied where its batch norm is folded in, (C, 1, 1, 1)."""
    norm = f"{layer.removesuffix('.conv')}.bn"
    if f"{norm}.weight" not in arrays:
        return np.ones((1, 1, 1, 1))
    variance = arrays[f"{norm}.running_var"].astype(np.float64)
    return (arrays[f"{norm}.weight"] / np.sqrt(variance + NORM_EPSILON)).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize("size", ["tiny", "s"])
def test_losses_and_gradients_are_those_of_mmdetection(size: str, shared: Path) -> None:
    arrays, expected = rtmdet_weights(shared, size), dict(np.load(DATA / f"rtmdet_ins_{size}_losses.npz"))
    net = trainable(arrays)
    batch = torch.from_numpy(np.stack([drawn(seed).pixels for seed in (1, 2)])).double()

    losses = losses_of(Answers.of(net(batch)), targets(1, 2))
    losses.total.backward()

    for name, part in zip(("cls", "bbox", "mask"), (losses.classes, losses.boxes, losses.masks), strict=True):
        assert part.item() == pytest.approx(float(expected.pop(f"loss_{name}")), rel=1e-5)
    for name, tensor in net.parameters.items():
        layer, kind = name.rsplit(".", 1)
        if kind != "scale":  # which is another parameter there
            gradient = tensor.grad.numpy() * (_scale(layer, arrays) if kind == "weight" else 1)
            theirs = name if name in expected else f"{layer.removesuffix('.conv')}.bn.bias"
            norm, product = expected.pop(theirs)
            ours = [np.linalg.norm(gradient), (gradient * signs(theirs, gradient.shape)).sum()]
            assert ours == pytest.approx([norm, product], rel=1e-4, abs=1e-4 * norm)
    assert all(name.endswith(".bn.weight") for name in expected)  # folded in


def answers(classes: int = 2, side: int = 64) -> Answers:
    maps = [
        torch.full((1, channels, side // stride, side // stride), value).double()
        for channels, value in ((classes, 0.0), (4, 2.0), (169, 0.0))
        for stride in (8, 16, 32)
    ]
    return Answers.of([*maps, torch.zeros(1, 8, side // 8, side // 8).double()])


def test_an_object_without_an_outline_teaches_no_mask() -> None:
    (whole,) = targets(1)
    boxes = Targets(whole.boxes[:1] / 5, whole.class_ids[:1], whole.uncertain, whole.uncertain_ids,
                    torch.zeros(1, 64, 64, dtype=torch.bool), torch.zeros(1, dtype=torch.bool))  # fmt: skip

    losses = losses_of(answers(), [boxes])

    assert losses.masks == 0
    assert losses.boxes > 0


def test_a_picture_without_objects_is_background() -> None:
    (whole,) = targets(1)
    nothing = Targets(whole.boxes[:0], whole.class_ids[:0], whole.uncertain, whole.uncertain_ids,
                      whole.masks[:0, :64, :64], whole.has_mask[:0])  # fmt: skip

    assigned, _ = assign(answers(), 0, nothing)
    losses = losses_of(answers(), [nothing])

    assert (assigned == -1).all()
    assert losses.classes > 0
    assert losses.boxes == losses.masks == 0


def test_masks_are_computed_as_those_that_are_served() -> None:
    from flask_detector.detectors.rtmdet.masks import mask_logits as served

    random = np.random.default_rng(0)
    features, kernels = (random.normal(size=size).astype(np.float32) for size in ((8, 6400), (12, 169)))
    points, strides = random.integers(0, 640, (12, 2)).astype(np.float32), np.full(12, 16, np.float32)

    ours = mask_logits(
        torch.from_numpy(features.reshape(8, 80, 80)),
        *(torch.from_numpy(one) for one in (kernels, points, strides)),
    )

    np.testing.assert_allclose(ours, served(features, kernels, points, strides), rtol=1e-4, atol=1e-3)
