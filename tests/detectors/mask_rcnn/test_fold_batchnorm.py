"""Another epsilon can be folded in afterwards."""

import numpy as np

from flask_detector.detectors.mask_rcnn.fold_batchnorm import fold, norm_of, with_epsilon
from flask_detector.detectors.mask_rcnn.layers import Layer


class Values:
    def __init__(self, values: np.ndarray) -> None:
        self._values = values.astype(np.float32)

    def array(self) -> np.ndarray:
        return self._values


def test_weights_with_another_epsilon_are_those_that_are_folded_with_it() -> None:
    random = np.random.default_rng(0)
    layer = Layer("stem", "conv1", (8, 3, 7, 7), "bn1")
    tensors = {"conv1.weight": Values(random.normal(size=layer.shape))}
    for part in ("weight", "bias", "running_mean"):
        tensors[f"bn1.{part}"] = Values(random.normal(size=8))
    tensors["bn1.running_var"] = Values(10.0 ** -np.arange(8))
    folded = {epsilon: fold(layer, tensors, epsilon=epsilon) for epsilon in (0.0, 1e-5)}
    for before, after in ((0.0, 1e-5), (1e-5, 0.0)):
        weight, bias = folded[before]
        weights = {"stem.weight": weight, "stem.bias": bias, "stem.norm": norm_of(layer, tensors)}
        changed = with_epsilon(weights, folded=before, epsilon=after)
        np.testing.assert_allclose(changed["stem.weight"], folded[after][0], rtol=1e-5)
        np.testing.assert_allclose(changed["stem.bias"], folded[after][1], rtol=1e-4, atol=1e-5)
    assert np.abs(folded[0.0][0] / folded[1e-5][0]).max() > 9  # what the epsilon decides
