"""A model whose classes have any names, also such as are no longer accepted when a model is added."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.detectors.weights_file import GRAPH_VERSION
from flask_detector.formats import FORMATS
from flask_detector.imaging.pixels import Pixels
from flask_detector.settings import Settings
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

LABELS = (
    "salt, pepper", "salt", "pepper", "cup", 'say "hi"', "<b>&amp;", "a/b\\c", "猫", "😀", "قطة", "צב",
    "naïve", "", "two\nlines", "x" * 300, "#1", "=1+1", "a:b",
)  # fmt: skip


class StandIn:
    """A detector that finds one of each class."""

    name = "own"
    labels = LABELS
    has_masks = True
    default_min_score = 0.5
    max_side = None

    def rest(self) -> None:
        pass

    def detect(self, image: Any, *, min_score: float | None = None, on_stage: Any = None) -> Detections:
        pixels, count = Pixels.of(image), len(LABELS)
        boxes = [[2 * i, i, 2 * i + 8, i + 8] for i in range(count)]
        mask = np.ones((8, 8), np.bool_)
        return Detections(
            width=pixels.width,
            height=pixels.height,
            boxes=np.array(boxes, np.float32),
            scores=np.full(count, 0.9, np.float32),
            class_ids=np.arange(count),
            labels=LABELS,
            model=self.name,
            masks=tuple(Mask.from_bitmap(mask, x=2 * i, y=i) for i in range(count)),
        )


@pytest.fixture
def own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an own model that is installed; in its place the worker loads a StandIn."""
    folder = settings.data_dir / "models" / "own"
    graphs = folder / f"converted-{GRAPH_VERSION}"
    graphs.mkdir(parents=True)
    (graphs / "manifest.json").write_text(json.dumps({"labels": LABELS}))
    (folder / "weights.pth").touch()
    source = {"file_name": "weights.pth", "original_name": "w.pth", "sha256": "0" * 64, "size": 1}
    (folder / "model.json").write_text(json.dumps({"variant": None, "source": source}))
    monkeypatch.setattr("flask_detector.detectors.loaded.load_detector", lambda *_, **__: StandIn())
    return "own"


@pytest.fixture
def ask(
    own: str, client: FlaskClient, jpeg: bytes, work_off: Callable[[], None]
) -> Callable[..., TestResponse]:
    """A function that sends a picture with options, and returns the finished detection."""

    def ask(query: str = "", **options: Any) -> TestResponse:
        address = f"/api/v1/detections?model={own}&{query}"
        sent = client.post(address, **({"data": jpeg, "content_type": "image/jpeg"} | options))
        assert sent.status_code == 202, sent.text
        work_off()
        return client.get(sent.headers["Location"])

    return ask


def found(answer: TestResponse) -> list[str]:
    assert answer.json is not None
    return [one["label"] for one in answer.json["result"]["instances"]]


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("classes=salt, pepper", ["salt, pepper"]),
        ("classes=salt%2C%20pepper", ["salt, pepper"]),
        ("classes=cup,salt, pepper,salt", ["salt, pepper", "salt", "cup"]),
        ("classes=salt&classes=pepper", ["salt", "pepper"]),
        ("classes=pepper,salt", ["salt", "pepper"]),
        ('classes=say "hi",😀', ['say "hi"', "😀"]),
        ("classes=%3Cb%3E%26amp;", ["<b>&amp;"]),
        ("classes=قطة", ["قطة"]),
    ],
)
def test_a_label_with_a_comma_can_be_asked_for(
    ask: Callable[..., TestResponse], client: FlaskClient, query: str, labels: list[str]
) -> None:
    assert found(ask(query)) == labels
    detection = ask().json
    assert detection is not None
    address = f"/api/v1/detections/{detection['id']}"
    export = client.get(f"{address}/exports/json?{query}").json
    assert export is not None
    assert [one["label"] for one in export["instances"]] == labels
    assert client.get(f"{address}/drawn.png?{query}").data != client.get(f"{address}/drawn.png").data


def test_json_asks_for_labels_in_a_list(ask: Callable[..., TestResponse], jpeg_in_json: Any) -> None:
    options = {"data": None, "content_type": None}
    assert found(ask(**options, json={**jpeg_in_json, "classes": ["salt, pepper", "cup"]})) == [
        "salt, pepper",
        "cup",
    ]


@pytest.fixture
def jpeg_in_json(jpeg: bytes) -> dict[str, str]:
    return {"image": base64.b64encode(jpeg).decode()}


def test_whatever_its_classes_are_called_everything_of_a_result_can_be_had(
    ask: Callable[..., TestResponse], client: FlaskClient
) -> None:
    detection = ask().json
    assert detection is not None
    page = f"/detections/{detection['id']}"
    html = client.get(page, headers={"Accept": "text/html"}).text
    assert "<b>&amp;" not in html
    for link in re.findall(rf'href="({page}/[^"]+)" download', html):
        with client.get(link.replace("&amp;", "&")) as answer:
            assert answer.status_code == 200, link
    for name in FORMATS:
        assert client.get(f"{page}/exports/{name}?off={quote('salt, pepper')}").status_code == 200
    names = set()
    for number in range(len(LABELS)):
        answer = client.get(f"{page}/instances/{number}.png")
        assert answer.status_code == 200
        names.add(answer.headers["Content-Disposition"])
    assert len(names) == len(LABELS)
