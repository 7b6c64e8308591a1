import numpy as np

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.nanodet.layers import EMBEDDED_MODEL, embedded_weights, graph_of
from flask_detector.detectors.openvino_runtime import Graph, Session, read_graph
from flask_detector.structures.boxes import Floats
from tests.support.taught import weights_of

NOISE = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)


def answers(graph: Graph) -> list[Floats]:
    return [np.array(answer) for answer in Session(graph, threads=1).run([NOISE])]


def test_the_graph_of_the_embedded_weights_answers_as_the_embedded_graph() -> None:
    for ours, embedded in zip(
        answers(graph_of(embedded_weights())), answers(read_graph(EMBEDDED_MODEL)), strict=True
    ):
        np.testing.assert_array_equal(ours, embedded)


def test_a_graph_of_fewer_classes_answers_for_these_as_before() -> None:
    scores, sides = answers(graph_of(weights_of({"wagon": "car", "walker": "person"})))
    all_scores, all_sides = answers(read_graph(EMBEDDED_MODEL))

    chosen = [COCO_LABELS.index("car"), COCO_LABELS.index("person")]
    np.testing.assert_allclose(scores, all_scores[:, chosen], rtol=0, atol=1e-6)
    np.testing.assert_allclose(sides, all_sides, rtol=0, atol=1e-5)
