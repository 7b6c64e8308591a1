"""A web server with faults, and a store of small models that it publishes."""

import hashlib
from collections.abc import Callable
from http.server import HTTPServer
from pathlib import Path

import pytest

from flask_detector.detectors.zoo.registry import Embedded, ModelInfo, Published
from flask_detector.detectors.zoo.store import ModelStore
from tests.support.file_server import PATIENCE, WEIGHTS, Faults, FileServer, StandInConverter


@pytest.fixture(autouse=True)
def _no_proxy_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server(serve_http: Callable[[HTTPServer], str]) -> FileServer:
    server = FileServer()
    serve_http(server)
    return server


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def converter() -> StandInConverter:
    return StandInConverter()


@pytest.fixture
def table(server: FileServer) -> dict[str, ModelInfo]:
    """Three models: an embedded one, one on the server, and a better one that the server doesn't have."""
    rows = [
        ModelInfo("tiny", "Tiny", "", "nanodet", "MIT", False, Embedded("tiny.onnx"), box_ap=20.0),
        ModelInfo(
            "big",
            "Big",
            "",
            "mask-rcnn",
            "MIT",
            True,
            Published(
                f"{server.url}/files/weights.pth", hashlib.sha256(WEIGHTS).hexdigest()[:8], len(WEIGHTS)
            ),
            variant="mmdet-caffe",
            box_ap=40.0,
            mask_ap=35.0,
        ),
        ModelInfo(
            "best",
            "Best",
            "",
            "mask-rcnn",
            "MIT",
            True,
            Published(f"{server.url}/files/best.pth", hashlib.sha256(b"best").hexdigest(), 4),
            variant="torchvision-v2",
            box_ap=47.0,
            mask_ap=41.0,
        ),
    ]
    return {row.name: row for row in rows}


@pytest.fixture
def store(tmp_path: Path, table: dict[str, ModelInfo], converter: StandInConverter) -> ModelStore:
    return ModelStore(tmp_path / "models", models=table, converter=converter, patience=PATIENCE)
