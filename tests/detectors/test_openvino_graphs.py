"""Graphs of which the engine would compute something else than they say."""

import numpy as np
import pytest

from flask_detector.detectors.openvino_graphs import keep_rows, keep_slices
from flask_detector.detectors.openvino_runtime import Graph, Precision, Session, opset


def test_elements_are_gathered_from_the_first_columns_as_written() -> None:
    # As the end-to-end head of YOLO26 does, of networks with masks.
    rows = opset.parameter([1, 5, 8], np.float32)
    numbers = [opset.constant(np.array([one])) for one in (0, 3, 1, -1)]
    first = opset.slice(opset.negative(rows), *numbers)
    chosen = np.array([[[4, 4, 4], [1, 1, 1]]])
    graph = Graph([opset.gather_elements(first, opset.constant(chosen), 1)], [rows])
    given = np.arange(40, dtype=np.float32).reshape(1, 5, 8)
    (found,) = Session(keep_slices(graph), threads=1, precision=Precision.FLOAT32).run([given])
    np.testing.assert_array_equal(found, -given[:, [4, 1], :3])


@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("columns", [1, 2])
def test_what_is_appended_to_an_empty_array_comes_below_it(rows: int, columns: int) -> None:
    # As torchvision's Mask R-CNN puts a mask below the pixels over it, of one column at the picture's border.
    shape = opset.parameter([2], np.int64)
    mask, below = (opset.parameter([-1, -1], np.float32) for _ in range(2))
    zeros = opset.broadcast(opset.constant(np.float32(0)), shape)
    graph = Graph([opset.concat([zeros, mask, below], 0)], [shape, mask, below])
    given = np.arange(1, 6 * columns + 1, dtype=np.float32).reshape(6, columns)
    outputs = Session(keep_rows(graph), threads=1, precision=Precision.FLOAT32).run(
        [np.array([rows, columns]), given, -given]
    )
    expected = np.concatenate([np.zeros((rows, columns)), given, -given])
    np.testing.assert_array_equal(outputs[0], expected)
