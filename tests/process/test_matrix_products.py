import subprocess
import sys

# Two threads even on one core; numpy reads it when it is loaded.
PROGRAM = """
import os, time
os.environ["OPENBLAS_NUM_THREADS"] = "2"
import numpy as np
from flask_detector.detectors.openvino_runtime import engine

engine()
matrix = np.ones((1000, 1000), np.float32)
matrix @ matrix
began = time.process_time()
time.sleep(0.2)
print(time.process_time() - began)
"""


def test_no_core_stays_busy_after_a_product_where_the_engine_runs() -> None:
    spent = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert float(spent) < 0.01
