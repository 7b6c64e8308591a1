"""The pyramid's maps of one picture, P2..P5, and the proposal network's answers on them.

In float32 the convolutions of 3x3 behind the backbone are Winograd's, some tiles of a map at a time: one
small graph does them for each map of every size of picture. In bfloat16 direct convolutions are quicker.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn import build_graph
from flask_detector.detectors.mask_rcnn.box_coding import STRIDES
from flask_detector.detectors.mask_rcnn.layers import CHANNELS
from flask_detector.detectors.mask_rcnn.preprocess import padded
from flask_detector.detectors.mask_rcnn.row_buffer import Table
from flask_detector.detectors.mask_rcnn.variants import Traits
from flask_detector.detectors.openvino_runtime import Array, Graph, Precision, Session
from flask_detector.detectors.weights_file import WeightsFile
from flask_detector.detectors.winograd import CELLS, neighbourhoods, places, transformed
from flask_detector.process import available_memory
from flask_detector.process.memory import give_back_code, give_back_unused

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Grids = list[tuple[int, int]]
Size = tuple[int, int]
Compiled = TypeVar("Compiled")

# Tiles at a time: what they are transformed to stays in the cache.
_BLOCK: Final = 128

# How many sizes of picture stay compiled in bfloat16, upright and lying. In float32 two would need 624 MB.
_SIZES: Final = 2

# In a container with less memory left than that, one does: a large picture may need it.
_ROOM: Final = 512 << 20

_WIDENED_AT_ONCE: Final = 512


class FeatureMaps(Protocol):
    """The maps of the picture that `make` saw last.

    table: their rows of channels. grids: rows and columns of P2..P5.
    """

    table: Table
    grids: Grids

    @property
    def rows_of_cells(self) -> Rows:
        """The table's row of each cell of P2..P5, (N,), row by row, one map behind the other."""

    def compile_for(self, size: Size) -> None:
        """Get ready for a padded picture of that height and width, if the last one had another."""

    def make(self, pixels: npt.NDArray[np.floating]) -> None:
        """Make the maps of the pixels (height, width, 3) of a padded picture."""

    def answers(self) -> list[Floats]:
        """Return the proposal network's answers on P2..P6, each (rows * columns, 15)."""


class DirectMaps:
    """The maps by direct convolutions, in bfloat16; see FeatureMaps."""

    def __init__(self, converted: WeightsFile, traits: Traits, *, threads: int) -> None:
        self._compiler = _Compiler(converted, traits, threads, Precision.BFLOAT16)
        self.table = Table(_count(_largest(traits)), CHANNELS)
        self.grids: Grids = []
        self._sizes = _Latest(self._compiled, _SIZES)

    @property
    def rows_of_cells(self) -> Rows:
        """The table's row of each cell: they are in order."""
        return np.arange(len(self._maps), dtype=np.int32)

    def make(self, pixels: npt.NDArray[np.floating]) -> None:
        """Make the maps; they come in the half of their memory that bfloat16 needs."""
        size = pixels.shape[:2]
        self.grids = _grids(size)
        self._maps = self.table.rows[: _count(self.grids)]
        self._levels = self._levels_of(size)
        features, self._proposals = self._sizes.get(size)
        give_back_unused()
        features.run([pixels.reshape(-1, 3)], self._levels)
        features.release()

    def answers(self) -> list[Floats]:
        """Return the answers; from then on the maps are float32."""
        answers = [answer.copy() for answer in self._proposals.run(self._levels)]
        self._proposals.release()
        _widen(self._maps)
        return answers

    def compile_for(self, size: Size) -> None:
        """Get ready for a padded picture of that size."""
        self._sizes.get(size)

    def _levels_of(self, size: Size) -> list[Array]:
        """Return where the maps of a picture of that size come."""
        grids = _grids(size)
        return _split(_halves(self.table.rows[: _count(grids)]), grids)

    def _compiled(self, size: Size) -> tuple[Session, Session]:
        levels = self._levels_of(size)
        features = self._compiler.features(size)
        features.bind([], levels)
        graph = build_graph.proposals(self._compiler.converted.weights, _grids(size))
        proposals = self._compiler.session(graph)
        proposals.bind(levels)
        return features, proposals


class TiledMaps:
    """The maps by Winograd's convolutions, in float32; see FeatureMaps."""

    def __init__(self, converted: WeightsFile, traits: Traits, *, threads: int) -> None:
        self._compiler = _Compiler(converted, traits, threads, Precision.FLOAT32)
        self._weights = weights = converted.weights
        count = _Layout.of(_largest(traits)).count
        self.table, self._other = Table(count, CHANNELS), Table(count, CHANNELS)
        self.grids: Grids = []
        self._linear, self._with_relu = (
            self._compiler.session(build_graph.tiles(_BLOCK, relu=relu)) for relu in (False, True)
        )
        self._answers = self._compiler.session(build_graph.tile_answers(weights, _BLOCK))
        self._sizes = _Latest(self._compiled, 1)

    @property
    def rows_of_cells(self) -> Rows:
        """The table's row of each cell: they are ordered by tiles."""
        return np.concatenate(self._layout.cells[:4])

    def make(self, pixels: npt.NDArray[np.floating]) -> None:
        """Make the maps."""
        self.grids = _grids(pixels.shape[:2])
        merged = _split(self._other.rows[: _count(self.grids)], self.grids)
        features, self._layout = self._sizes.get(pixels.shape[:2])
        give_back_unused()
        features.run([pixels.reshape(-1, 3)], merged)
        features.release()
        found = iter(self._layout.blocks(self.table.rows))
        for level, tiles in enumerate(self._layout.merged):
            self._convolve(self._linear, f"pyramid{level}", self._other, zip(tiles, found, strict=False))
        self._linear.release()
        self._other.forget()

    def answers(self) -> list[Floats]:
        """Return the answers."""
        layout, maps, tiles = self._layout, self.table, self._layout.of_maps
        *hidden, last = build_graph.rpn_convs(self._weights)
        for name in hidden:
            found = layout.blocks(self._other.rows)
            self._convolve(self._with_relu, name, maps, zip(tiles, found, strict=True))
            self._with_relu.release()
            maps, tiles = self._other, layout.of_tables
        answers = np.empty((layout.count, 15), np.float32)
        self._convolve(self._answers, last, maps, zip(tiles, layout.blocks(answers), strict=True))
        self._answers.release()
        self._other.forget()
        return [answers[cells] for cells in layout.cells]

    def _convolve(
        self, session: Session, name: str, source: Table, blocks: Iterable[tuple[Rows, Floats]]
    ) -> None:
        """Compute blocks: each is the rows of the source that its tiles depend on, and where they go."""
        kernel = transformed(self._weights[f"{name}.weight"])
        for tiles, found in blocks:
            session.run([source.rows, tiles, kernel, self._weights[f"{name}.bias"]], [found])

    def compile_for(self, size: Size) -> None:
        """Get ready for a padded picture of that size."""
        self._sizes.get(size)

    def _compiled(self, size: Size) -> tuple[Session, "_Layout"]:
        return self._compiler.features(size), _Layout.of(_grids(size))


@dataclass(frozen=True)
class _Layout:
    """Where the tiles of P2..P6 lie in a table of these maps, and which rows they depend on.

    cells: for each map (rows * columns,), the table's row of each cell.
    merged: for P2..P5 the blocks of tiles (blocks, 36, _BLOCK), read from maps whose cells lie row by row.
    of_maps: those of P2..P6, read from a table that has P2..P5. of_tables: read from one that has P6 too.
    """

    cells: list[Rows]
    merged: list[Rows]
    of_maps: Rows
    of_tables: Rows

    @classmethod
    def of(cls, grids: Grids) -> Self:
        """Return the layout of maps of these sizes, P2..P5."""
        rows, columns = grids[-1]
        start, cells = 0, []
        for grid in [*grids, (-(-rows // 2), -(-columns // 2))]:
            cells.append(places(*grid, _BLOCK) + start)
            start += len(neighbourhoods(cells[-1], _BLOCK)) * CELLS * _BLOCK
        merged = _split(np.arange(_count(grids)), grids)
        maps = [neighbourhoods(one, _BLOCK) for one in cells[:4]]
        # P6 is every second cell of P5.
        sixth = [neighbourhoods(one, _BLOCK) for one in (cells[3][::2, ::2], cells[4])]
        return cls(
            [one.reshape(-1).astype(np.int32) for one in cells],
            [neighbourhoods(one.reshape(grid), _BLOCK) for one, grid in zip(merged, grids, strict=True)],
            *(np.concatenate([*maps, one]) for one in sixth),
        )

    @property
    def count(self) -> int:
        """How many rows the table has."""
        return len(self.of_maps) * CELLS * _BLOCK

    def blocks(self, rows: Floats) -> Floats:
        """Return a table's rows as (blocks, rows of a block, channels)."""
        return rows[: self.count].reshape(-1, CELLS * _BLOCK, rows.shape[1])


class _Compiler:
    """Makes sessions."""

    def __init__(self, converted: WeightsFile, traits: Traits, threads: int, precision: Precision) -> None:
        self.converted = converted
        self._traits, self._threads, self._precision = traits, threads, precision

    def session(self, graph: Graph) -> Session:
        return Session(graph, threads=self._threads, precision=self._precision)

    def features(self, size: Size) -> Session:
        """Return the graph of features for a padded size."""
        with self.converted.forgetting():
            session = self.session(
                build_graph.features(
                    self.converted.weights,
                    height=size[0],
                    width=size[1],
                    stride_in_1x1=self._traits.stride_in_1x1,
                    precision=self._precision,
                )
            )
        # To compile takes much more code than to compute.
        give_back_code()
        return session


class _Latest(Generic[Compiled]):
    """What is compiled for the sizes of the latest pictures: for so many of them."""

    def __init__(self, make: Callable[[Size], Compiled], count: int) -> None:
        self._make, self._count = make, count
        self._compiled: dict[Size, Compiled] = {}

    def get(self, size: Size) -> Compiled:
        """Return it for that size."""
        if size in self._compiled:
            compiled = self._compiled.pop(size)
        else:
            left = available_memory.available()
            count = self._count if left is None or left >= _ROOM else 1
            while len(self._compiled) >= count:  # before there is one more, which needs memory
                del self._compiled[next(iter(self._compiled))]
            compiled = self._make(size)
        self._compiled[size] = compiled
        return compiled


def _grids(size: Size) -> Grids:
    """Return rows and columns of P2..P5 of a padded picture."""
    return [(size[0] // stride, size[1] // stride) for stride in STRIDES[:4]]


def _largest(traits: Traits) -> Grids:
    """Return those of the largest picture."""
    return _grids((padded(traits.options.min_size), padded(traits.options.max_size)))


def _count(grids: Grids) -> int:
    return sum(rows * columns for rows, columns in grids)


def _split(rows: Array, grids: Grids) -> list[Array]:
    """Return the rows of each map."""
    return np.split(rows, np.cumsum([rows * columns for rows, columns in grids[:-1]]))


def _halves(maps: Floats) -> Array:
    """Return where the bits of bfloat16 numbers wait to become these: in the upper half of their memory."""
    return maps.reshape(-1).view(np.uint16)[maps.size :].reshape(maps.shape)


def _widen(maps: Floats) -> None:
    """Make the numbers of their halves, which are the upper 16 bits of float32.

    From the first row on none is written over before it is read.
    """
    bits, halves = maps.view(np.uint32), _halves(maps)
    for start in range(0, len(maps), _WIDENED_AT_ONCE):
        rows = slice(start, start + _WIDENED_AT_ONCE)
        np.left_shift(halves[rows], np.uint32(16), out=bits[rows])
