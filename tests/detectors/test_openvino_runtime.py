"""The engine where it gets less memory than it needs."""

import subprocess
import sys

import pytest

# Between hardly any and half of it the engine fails at other places, and in other words.
PROGRAM = """
import resource
import numpy as np
from flask_detector.process import memory
from flask_detector.detectors.nanodet.detector import NanoDet

detector = NanoDet()
picture = np.full((480, 640, 3), 90, np.uint8)
for megabytes in (1, 4, 8, 12):
    memory.limit(memory.writable_bytes() + megabytes * 1_000_000)
    try:
        detector.detect(picture)
    except MemoryError:
        print("too little")
    memory.limit(resource.RLIM_INFINITY)
detector.detect(picture)
print("enough")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts this memory")
def test_too_little_memory_is_that_error_and_not_the_end() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert answer.stdout.split("\n") == ["too little"] * 4 + ["enough", ""]
