"""A folder of small weights files behind a web server, and a store that fetches from it."""

import hashlib
from collections.abc import Callable
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flask_detector.detectors.zoo.download import Patience
from flask_detector.detectors.zoo.registry import MAIN_MODEL, Embedded, ModelInfo, Published
from flask_detector.detectors.zoo.store import ModelStore
from tests.support.file_server import WEIGHTS, StandInConverter


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "DETECTOR_MODEL",
        "DETECTOR_MIRROR_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DETECTOR_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The folder that the web server shows."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "weights.pth").write_bytes(WEIGHTS)
    return folder


@pytest.fixture
def server_url(published: Path, serve_http: Callable[[HTTPServer], str]) -> str:
    handler = partial(_QuietHandler, directory=str(published))
    return serve_http(ThreadingHTTPServer(("127.0.0.1", 0), handler))


@pytest.fixture
def store(tmp_path: Path, server_url: str) -> ModelStore:
    """An embedded model and the main one, which is small here."""
    rows = [
        ModelInfo(
            "tiny", "Tiny", "Small.", "nanodet", "MIT", False, Embedded("../coco_labels.py"), box_ap=20.0
        ),
        ModelInfo(
            MAIN_MODEL,
            "Main",
            "Large.",
            "mask-rcnn",
            "Apache-2.0",
            True,
            Published(f"{server_url}/weights.pth", hashlib.sha256(WEIGHTS).hexdigest()[:8], len(WEIGHTS)),
            variant="mmdet-caffe",
            box_ap=40.8,
            mask_ap=37.0,
        ),
    ]
    return ModelStore(
        tmp_path / "data" / "models",
        models={row.name: row for row in rows},
        converter=StandInConverter(labels=("class 1", "class 2")),
        patience=Patience(timeout=0.5, pauses=(0.01,)),
    )
