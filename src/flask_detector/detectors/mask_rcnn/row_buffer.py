"""Rows of numbers that take memory only while they are needed."""

import mmap

import numpy as np
import numpy.typing as npt


class Table:
    """A table (count, channels), float32, whose memory can be given back; its address stays the same."""

    def __init__(self, count: int, channels: int) -> None:
        self._memory = mmap.mmap(-1, count * channels * 4, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.rows: npt.NDArray[np.float32] = np.frombuffer(self._memory, np.float32).reshape(count, channels)

    def forget(self) -> None:
        """Give the memory back; the rows are zeros then."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._memory.madvise(mmap.MADV_DONTNEED)
