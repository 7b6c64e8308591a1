"""The trainable network is the served network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flask_detector.detectors.convert import convert
from flask_detector.detectors.openvino_runtime import Session
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.teach.bases import Base, NanoDetBase, RTMDetBase
from flask_detector.teach.network import Network
from flask_detector.teach.pupil import pupil_of
from tests.support.taught import weights_of
from tests.support.weights import rtmdet_weights, write_safetensors

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def rows(maps: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)[0].detach()


def test_the_trainable_network_answers_as_the_served_one_before_and_after_training() -> None:
    base = NanoDetBase("nanodet-g")
    network = pupil_of(base, weights_of({"wagon": "car", "walker": "person"}), CPU).network
    picture = np.random.default_rng(0).integers(0, 256, (1, 96, 160, 3), dtype=np.uint8)
    for _ in range(2):
        maps = network(torch.from_numpy(picture))
        weights = network.weights_of(network.parameters)
        served_scores, served_sides = Session(base.graph(weights), threads=1).run([picture])

        np.testing.assert_allclose(rows(maps)[:, :2].sigmoid(), served_scores, rtol=0, atol=1e-6)
        np.testing.assert_allclose(rows(maps)[:, 2:], served_sides, rtol=0, atol=2e-5)

        _step(network, maps)


def test_so_does_that_of_rtmdet_with_masks(tmp_path: Path, shared: Path) -> None:
    write_safetensors(tmp_path / "tiny.safetensors", rtmdet_weights(shared, "tiny"))
    convert(tmp_path / "tiny.safetensors", tmp_path / "tiny")
    base = RTMDetBase("rtmdet-ins-tiny", tmp_path / "tiny")
    network = pupil_of(base, base.first_weights(3, seed=0), CPU).network
    picture = np.full((1, 640, 640, 3), 114, np.uint8)
    picture[:, 200:400, 100:500] = (200, 40, 90)
    for _ in range(2):
        maps = network(torch.from_numpy(picture))
        weights = network.weights_of(network.parameters)
        scores, distances, kernels, features = Session(base.graph(weights), threads=2).run([picture])

        for ours, served in (
            (rows(maps[:3]).sigmoid(), scores),
            (rows(maps[3:6]).relu(), distances / np.repeat([8, 16, 32], [6400, 1600, 400])[:, None]),
            (rows(maps[6:9]), kernels),
            (maps[9][0].detach().flatten(1), features),
        ):
            # The engine computes convolutions of 3x3 with fewer and less exact multiplications.
            np.testing.assert_allclose(ours, served, rtol=0, atol=2e-3 * np.abs(served).max())

        _step(network, maps)


def test_a_taught_rtmdet_comes_back_from_its_file_as_it_was(tmp_path: Path, shared: Path) -> None:
    write_safetensors(tmp_path / "tiny.safetensors", rtmdet_weights(shared, "tiny"))
    convert(tmp_path / "tiny.safetensors", tmp_path / "tiny")
    base: Base = RTMDetBase("rtmdet-ins-tiny", tmp_path / "tiny")
    network = pupil_of(base, base.first_weights(2, seed=0), CPU).network
    with torch.no_grad():
        for tensor in network.parameters.values():
            tensor.mul_(1.01).add_(0.001)
    weights = network.weights_of(network.parameters)

    base.write_checkpoint(tmp_path / "taught.safetensors", weights, ["a", "b"], {"base": base.name})
    reading = convert(tmp_path / "taught.safetensors", tmp_path / "taught", variant="pair")

    assert (reading.labels, reading.variant, reading.options["base"]) == (("a", "b"), "pair", base.name)
    back = WeightsFile.open(tmp_path / "taught").weights
    assert set(back) == set(weights)
    for name, array in weights.items():
        np.testing.assert_allclose(back[name], array, rtol=1e-5, atol=1e-6)


def _step(network: Network, maps: list[torch.Tensor]) -> None:
    torch.stack([one.square().mean() for one in maps]).sum().backward()
    with torch.no_grad():
        for tensor in network.parameters.values():
            assert tensor.grad is not None
            tensor.sub_(1e-3 * tensor.grad / (1e-6 + tensor.grad.norm()))
            tensor.grad = None
