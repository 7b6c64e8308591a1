"""How long it takes to save corrected objects: `python -m benchmarks.corrections`.

Against an installation of its own, over one connection as a browser has it. All masks are sent each time, the
worst case: those of objects that are as the model said need not be.
"""

import http.client
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import crowd
from benchmarks.installation import fetch, installation
from flask_detector.structures.annotations import Annotations

CASES = {"300 objects, 1024x768": (300, 1024, 768), "1000 objects, 6000x4000": (1000, 6000, 4000)}
SAVES = 40


def main() -> None:
    """Print the median and the 95th percentile of each case, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder, installation(Path(folder)) as (_, port):
        for name, (number, width, height) in CASES.items():
            document = _document(number, width, height)
            connection = http.client.HTTPConnection("127.0.0.1", port)
            address = _detected(connection, width, height)
            seconds, size = _saved(connection, f"{address}/annotations", document)
            middle, late = statistics.median(seconds) * 1000, np.percentile(seconds, 95) * 1000
            print(f"{name}: {middle:.0f} ms, 95%: {late:.0f} ms, {size / 1000:.0f} kB")


def _detected(connection: http.client.HTTPConnection, width: int, height: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 90)).save(file, "JPEG")
    headers = {"Prefer": "wait=60", "Content-Type": "image/jpeg"}
    answer = json.loads(fetch(connection, "POST", "/api/v1/detections", file.getvalue(), headers))
    return f"/api/v1/detections/{answer['id']}"


def _document(number: int, width: int, height: int) -> dict[str, Any]:
    crowd.NUMBER = number
    form = Annotations.from_detections(crowd.crowd(width, height)).to_json()
    for one in form["objects"]:
        one |= {"id": f"p{one['id']}", "source": "person", "score": None}
    return form


def _saved(
    connection: http.client.HTTPConnection, path: str, document: dict[str, Any]
) -> tuple[list[float], int]:
    """Return how long each save took, and how large a body is; each one moves a box."""
    seconds = []
    for shift in range(SAVES):
        x1, y1, x2, y2 = document["objects"][0]["box"]
        document["objects"][0]["box"] = [x1, y1, x2 - 0.01, y2]
        body = json.dumps(document | {"verified": bool(shift % 2)}).encode()
        start = time.perf_counter()
        fetch(connection, "PUT", path, body, {"If-Match": "*", "Content-Type": "application/json"})
        seconds.append(time.perf_counter() - start)
    return seconds, len(body)


if __name__ == "__main__":
    main()
