"""A folder of small weights files behind a web server, and a store that fetches from it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flask_detector.detectors.reading import Reading
from flask_detector.detectors.zoo.conversion import Converter
from flask_detector.detectors.zoo.download import Patience
from flask_detector.detectors.zoo.registry import MAIN_MODEL, Embedded, ModelInfo, Published
from flask_detector.detectors.zoo.store import ModelStore
from flask_detector.errors import CheckpointError

WEIGHTS = bytes(range(256)) * 4096


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


def _convert(
    checkpoint: Path,
    folder: Path,
    *,
    variant: str | None,
    labels: Sequence[str],
    options: Mapping[str, Any],
    on_progress: Callable[[float], None],
) -> Reading:
    if checkpoint.read_bytes().startswith(b"bad"):
        raise CheckpointError("The file is no checkpoint.")
    on_progress(0.5)
    (folder / "graph").write_text(str(variant))
    notes = ("The class names are those given.",) if labels else ("They are numbered.",)
    names = tuple(labels) or ("class 1", "class 2")
    return Reading("mask-rcnn", variant or "mmdet-caffe", "Mask R-CNN, tested", names, options, notes)


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
        converter=lambda: Converter(1, _convert),
        patience=Patience(timeout=0.5, pauses=(0.01,)),
    )
