import subprocess
import sys

import pytest

PROGRAM = """
import psutil, numpy as np
from flask_detector.memory import give_back_large_blocks
give_back_large_blocks()
kept, before = [], psutil.Process().memory_info().rss
for size in range(100_000, 900_000, 4_000):
    block = np.ones(size, np.uint8)
    kept.append(np.ones(3_000, np.uint8))  # would hold a heap open from above
    del block
print(psutil.Process().memory_info().rss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the option is glibc's")
def test_large_blocks_go_back_to_the_system() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 3_000_000
