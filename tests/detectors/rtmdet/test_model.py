"""RTMDet-Ins as a process of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

PROGRAM = """
import sys
from pathlib import Path
from flask_detector.detectors.openvino_runtime import Precision
from flask_detector.detectors.rtmdet.model import RTMDet
from flask_detector.imaging import decode
from flask_detector.imaging.limits import Limits

detector = RTMDet(Path(sys.argv[1]), name="mine", threads=2, precision=Precision.FLOAT32)
for path in sys.argv[2:]:
    found = detector.detect(decode.load(Path(path).read_bytes(), Limits(10**8, 10**8))[0], min_score=0.05)
    assert len(found) == 100
(line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
print(int(line.split()[1]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory that a process had")
def test_a_hundred_masks_of_24_megapixels_take_a_process_at_most_250_megabytes(
    converted: Callable[[str], Path], pictures: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large.jpg"
    with Image.open(pictures / "apartment.jpg") as picture:
        picture.resize((6000, 4000)).save(large)
    files = (converted("s"), pictures / "apartment.jpg", large, large)
    command = [sys.executable, "-c", PROGRAM, *(str(file) for file in files)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(answer.stdout) <= 250_000_000
