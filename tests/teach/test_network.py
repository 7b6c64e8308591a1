"""The trainable network is the served network."""

import numpy as np
import pytest
import torch

from flask_detector.detectors.nanodet.layers import embedded_weights, graph_of
from flask_detector.detectors.openvino_runtime import Session
from flask_detector.teach.network import Network
from tests.support.taught import weights_of

pytestmark = pytest.mark.slow


def test_the_trainable_network_answers_as_the_served_one_before_and_after_training() -> None:
    network = Network.of(weights_of({"wagon": "car", "walker": "person"}))
    picture = np.random.default_rng(0).integers(0, 256, (1, 96, 160, 3), dtype=np.uint8)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    for _ in range(2):
        classes, sides = network(torch.from_numpy(picture).permute(0, 3, 1, 2))
        weights = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
        served_scores, served_sides = Session(graph_of(weights), threads=1).run([picture])

        np.testing.assert_allclose(classes[0].sigmoid().detach(), served_scores, rtol=0, atol=1e-6)
        np.testing.assert_allclose(sides[0].detach(), served_sides, rtol=0, atol=2e-5)

        (classes.square().mean() + sides.square().mean()).backward()
        optimizer.step()


def test_its_weights_have_the_names_of_the_served_ones() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in Network(80).state_dict().items()}

    assert shapes == {name: array.shape for name, array in embedded_weights().items()}
