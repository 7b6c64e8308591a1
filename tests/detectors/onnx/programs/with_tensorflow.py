"""A small SSD in TensorFlow, in the form that its object detection API exports, by tf2onnx; see `common.py`.

That is a function of pictures of any size, which resizes and selects itself.
"""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

SIDE, CLASSES = 320, 20


class Detector(tf.Module):
    """Convolutions, boxes around the cells of one grid, and suppression."""

    def __init__(self) -> None:
        super().__init__()
        random = tf.random.Generator.from_seed(7)
        channels = [3, 16, 32, 64, 96, 128]
        self.weights = [
            tf.Variable(random.normal((3, 3, a, b), stddev=(2 / (9 * a)) ** 0.5))
            for a, b in itertools.pairwise(channels)
        ]
        self.boxes = tf.Variable(random.normal((1, 1, 128, 4), stddev=0.3))
        self.scores = tf.Variable(random.normal((1, 1, 128, CLASSES), stddev=1.0))
        self.mean = tf.Variable(tf.zeros(CLASSES))

    def __call__(self, input_tensor: Any) -> dict[str, Any]:
        """Return what is found."""
        found = tf.map_fn(
            lambda one: tf.image.resize(tf.cast(one, tf.float32), (SIDE, SIDE)),
            input_tensor,
            fn_output_signature=tf.TensorSpec([SIDE, SIDE, 3], tf.float32),
        )
        found = found * (2 / 255) - 1
        for weights in self.weights:
            found = tf.nn.relu6(tf.nn.conv2d(found, weights, 2, "SAME"))
        cells = found.shape[1]
        logits = tf.reshape(tf.nn.conv2d(found, self.scores, 1, "SAME"), (1, -1, CLASSES)) - self.mean
        offsets = tf.reshape(tf.nn.conv2d(found, self.boxes, 1, "SAME"), (1, -1, 4))
        places = (tf.range(cells, dtype=tf.float32) + 0.5) / cells
        centres = tf.reshape(tf.stack(tf.meshgrid(places, places, indexing="ij"), -1), (1, -1, 2))
        centres += tf.tanh(offsets[..., :2]) / cells
        halves = tf.exp(tf.tanh(offsets[..., 2:])) / cells
        boxes = tf.concat([centres - halves, centres + halves], -1)
        chosen = tf.image.combined_non_max_suppression(
            boxes[:, :, None], tf.sigmoid(logits), 50, 100, 0.6, 0.05, clip_boxes=True
        )
        return {
            "detection_boxes": chosen[0],
            "detection_scores": chosen[1],
            "detection_classes": chosen[2] + 1,
            "num_detections": tf.cast(chosen[3], tf.float32),
            "raw_detection_boxes": boxes,
            "logits": logits,
        }


def main() -> None:
    """Export and detect."""
    folder = Path(sys.argv[1])
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in json.loads(sys.argv[2])]
    detector = Detector()
    of_pictures = tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")
    function = tf.function(detector.__call__, input_signature=[of_pictures])
    logits = detector(tf.constant(pictures[0][None]))["logits"]
    detector.scores.assign(detector.scores * (2 / tf.math.reduce_std(logits)))
    logits = detector(tf.constant(pictures[0][None]))["logits"]
    detector.mean.assign(tf.reduce_mean(logits, (0, 1)) + 4)
    forms = []
    for picture in pictures:
        found = {name: value.numpy()[0] for name, value in detector(tf.constant(picture[None])).items()}
        kept = found["detection_scores"] >= 0.25
        height, width = picture.shape[:2]
        boxes = found["detection_boxes"][kept][:, [1, 0, 3, 2]] * [width, height, width, height]
        classes = found["detection_classes"][kept] - 1
        scores = found["detection_scores"][kept]
        forms.append({"boxes": boxes.tolist(), "scores": scores.tolist(), "classes": classes.tolist()})
    (folder / "found.json").write_text(json.dumps(forms))
    tf.saved_model.save(detector, str(folder / "saved"), signatures={"serving_default": function})
    command: list[Any] = [
        sys.executable,
        "-m",
        "tf2onnx.convert",
        "--saved-model",
        folder / "saved",
        "--opset",
        "17",
    ]
    subprocess.run([*command, "--output", folder / "model.onnx"], check=True)


main()
