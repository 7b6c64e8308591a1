"""The embedded detector behind LitServe, for benchmarks/service.py: what a general server of models adds.

python benchmarks/litserve_server.py PORT WORKERS
"""

import sys
from typing import Any

import litserve
from fastapi import Request

from flask_detector import load_detector


class DetectorApi(litserve.LitAPI):
    """Takes a picture in a form, answers with the result's JSON form."""

    def setup(self, device: str) -> None:
        """Load the model, once in each worker process."""
        self.detector = load_detector("nanodet-g")

    def decode_request(self, request: Request) -> bytes:
        """Return the picture's bytes; what LitServe gives is the form, not the request."""
        data: bytes = request["image"].file.read()
        return data

    def predict(self, data: bytes) -> dict[str, Any]:
        """Detect."""
        return self.detector.detect(data).to_json()

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Answer with the result as it is."""
        return output


if __name__ == "__main__":
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    server = litserve.LitServer(DetectorApi(), accelerator="cpu", workers_per_device=workers)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="error")
