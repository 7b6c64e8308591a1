"""Label Studio's brush encoding: run lengths of bytes, packed into bits.

The values are those of a picture of four channels, 255 inside and 0 outside. A header tells how many there
are (32 bits), how many bits one has, less one (5), and four sizes of run lengths, less one (4 each). Then
follow the runs: a 1, which of the four sizes (2 bits), the length less one, and the value.
Source: thi.ng/umbrella, packages/rle-pack.
"""

import numpy as np

from flask_detector.structures.masks import Mask

_SIZES = (3, 4, 8, 16)
_LONGEST_RUN = 1 << _SIZES[-1]
_CHANNELS = 4
_VALUE_SIZE = 8
_DIGITS = bytes.maketrans(b"\0\1", b"01")


def packed(mask: Mask, *, width: int, height: int) -> list[int]:
    """Return the bytes of a mask in a picture of that size."""
    bits = [
        f"{width * height * _CHANNELS:032b}",
        f"{_VALUE_SIZE - 1:05b}",
        *(f"{size - 1:04b}" for size in _SIZES),
    ]
    for length, value in _runs(mask, width, height):
        left = length * _CHANNELS
        while left:
            run = min(left, _LONGEST_RUN)
            which = next(i for i, size in enumerate(_SIZES) if run <= 1 << size)
            bits.append(f"1{which:02b}{run - 1:0{_SIZES[which]}b}{value:0{_VALUE_SIZE}b}")
            left -= run
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def unpacked(data: list[int], *, width: int, height: int) -> Mask:
    """Return the mask of bytes that are for a picture of that size, where the last channel is not 0.

    Raises ValueError where they are malformed or for a picture of another size.
    """
    bits = np.unpackbits(np.array(data, np.uint8)).tobytes().translate(_DIGITS).decode()
    place = 0

    def number(size: int) -> int:
        nonlocal place
        place += size
        return int(bits[place - size : place], 2)

    count, value_size = number(32), number(5) + 1
    sizes = [number(4) + 1 for _ in _SIZES]
    if count != width * height * _CHANNELS or value_size != _VALUE_SIZE:
        raise ValueError("not of a picture of that size")
    lengths, values = [], []
    while count > 0:
        is_run, length = number(1), number(sizes[number(2)]) + 1
        length = min(length, count)
        count -= length
        lengths += [length] if is_run else [1] * length
        values += [number(_VALUE_SIZE) for _ in range(1 if is_run else length)]
        if place > len(bits):
            raise ValueError("cut short")
    opacity = np.repeat(np.array(values, np.uint8), lengths)[_CHANNELS - 1 :: _CHANNELS]
    return Mask.from_bitmap(opacity.reshape(height, width) > 0).cropped()


def _runs(mask: Mask, width: int, height: int) -> list[tuple[int, int]]:
    """Return lengths and values, row by row, over a picture of that size."""
    bitmap = mask.bitmap()
    edges = np.diff(np.pad(bitmap.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    offset = (mask.y + rows) * width + mask.x
    runs, done = [], 0
    for start, end in zip((offset + starts).tolist(), (offset + ends).tolist(), strict=True):
        runs += [(start - done, 0)] if start > done else []
        runs.append((end - start, 255))
        done = end
    return runs + ([(width * height - done, 0)] if width * height > done else [])
