"""One way to ask each of the seven dialects, and a detector that finds what a test wants found."""

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from flask_detector.detectors import MAIN_MODEL
from flask_detector.detectors.base import OnStage
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.imaging.pixels import Picture, Pixels
from flask_detector.structures.boxes import Floats
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask

LABELS = "".join(f'<Label value="{label}"/>' for label in COCO_LABELS)


CONFIG = (
    '<View><Image name="img" value="$image"/>'
    f'<RectangleLabels name="box" toName="img">{LABELS}</RectangleLabels></View>'
)


Request = dict[str, Any]


def _json(path: str, body: Request, **headers: str) -> Request:
    return {"path": path, "data": json.dumps(body), "headers": headers}


def _base64(picture: bytes | None) -> str | None:
    return None if picture is None else base64.b64encode(picture).decode()


def _deepstack(picture: bytes | None, key: str | None, model: str) -> Request:
    form: Request = {} if picture is None else {"image": FileStorage(io.BytesIO(picture), "image")}
    if key is not None:
        form["api_key"] = key
    boundary, body = encode_multipart(form)  # in memory; the test client would leave a file open
    kind = f'multipart/form-data; boundary="{boundary}"'
    return {"path": f"/v1/vision/custom/{model}", "data": body, "content_type": kind}


def _doods(picture: bytes | None, key: str | None, model: str) -> Request:
    headers = {} if key is None else {"doods-auth-key": key}
    body = {"detector_name": model, "data": _base64(picture), "detect": {"*": 30}}
    return _json("/detect", body, **headers)


def _kserve(picture: bytes | None, key: str | None, model: str) -> Request:
    data = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [_base64(picture)]}
    body = {"inputs": [] if picture is None else [data]}
    return _json(f"/v2/models/{model}/infer", body, **_bearer(key))


def _label_studio(picture: bytes | None, key: str | None, model: str) -> Request:
    data = {} if picture is None else {"image": f"data:image/jpeg;base64,{_base64(picture)}"}
    login = base64.b64encode(f"label-studio:{key}".encode()).decode()
    headers = {} if key is None else {"Authorization": f"Basic {login}"}
    return _json("/predict", {"tasks": [{"id": 1, "data": data}], "label_config": CONFIG}, **headers)


def _cvat(picture: bytes | None, key: str | None, model: str) -> Request:
    headers = {"x-nuclio-function-name": model, **_bearer(key)}
    return _json("/api/function_invocations", {"image": _base64(picture)}, **headers)


def _roboflow(picture: bytes | None, key: str | None, model: str) -> Request:
    image = None if picture is None else {"type": "base64", "value": _base64(picture)}
    body = {"model_id": model, "image": image} | ({} if key is None else {"api_key": key})
    return _json("/infer/object_detection", body)


def _huggingface(picture: bytes | None, key: str | None, model: str) -> Request:
    return {"path": f"/models/{model}", "data": picture or b"", "headers": _bearer(key)}


def _bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Speaker:
    """A kind of client: how it asks, and what it reads of an answer."""

    name: str
    request: Callable[[bytes | None, str | None, str], Request]
    error_in: str

    def ask(
        self,
        client: FlaskClient,
        picture: bytes | None,
        *,
        key: str | None = None,
        model: str = "nanodet-g",
    ) -> TestResponse:
        """Send a picture as this client does."""
        request = self.request(picture, key, model)
        return client.post(request.pop("path"), **request)

    def error_of(self, answer: TestResponse) -> str:
        """Return the words of an error, told in this client's form."""
        assert answer.mimetype == "application/json"
        assert answer.headers["Content-Length"] == str(len(answer.data))
        assert isinstance(answer.json, dict)
        text: str = answer.json[self.error_in]
        return text


SPEAKERS = {
    one.name: one
    for one in (
        Speaker("deepstack", _deepstack, "error"),
        Speaker("doods", _doods, "error"),
        Speaker("kserve", _kserve, "error"),
        Speaker("label-studio", _label_studio, "error"),
        Speaker("cvat", _cvat, "error"),
        Speaker("roboflow", _roboflow, "message"),
        Speaker("huggingface", _huggingface, "error"),
    )
}


class StandIn:
    """A detector that finds two objects with masks: a ring-shaped dog, and a cat in two parts."""

    name = MAIN_MODEL
    labels = COCO_LABELS
    has_masks = True
    default_min_score = 0.5
    max_side = None

    def rest(self) -> None:
        """Have nothing to give back."""

    def detect(
        self, image: Picture | Pixels, *, min_score: float | None = None, on_stage: OnStage | None = None
    ) -> Detections:
        """Find them in any picture of at least 40 by 30 pixels; in a wider one the cat's mask is empty."""
        dog = np.ones((10, 10), np.bool_)
        dog[4:6, 4:6] = False
        cat = np.ones((5, 9), np.bool_)
        cat[:, 4] = False
        pixels = Pixels.of(image)
        if pixels.width > 40:
            cat[:] = False
        found = Detections(
            width=pixels.width,
            height=pixels.height,
            boxes=np.array([[2, 3, 12, 13], [20, 20, 29, 25]], np.float32),
            scores=np.array([0.9, 0.6], np.float32),
            class_ids=np.array([COCO_LABELS.index("dog"), COCO_LABELS.index("cat")]),
            labels=COCO_LABELS,
            model=self.name,
            masks=(Mask.from_bitmap(dog, x=2, y=3), Mask.from_bitmap(cat, x=20, y=20)),
        )
        return found.over(0.5 if min_score is None else min_score)

    def masks_for_boxes(
        self, image: Picture | Pixels, boxes: Floats, class_ids: Sequence[int | None]
    ) -> tuple[Mask, ...]:
        """Fill the box of a dog, half of the box of a class that it does not know, and no other box."""
        masks = []
        for (x1, y1, x2, y2), class_id in zip(boxes.astype(int).tolist(), class_ids, strict=True):
            part = {COCO_LABELS.index("dog"): 1.0, None: 0.5}.get(class_id, 0.0)
            inside = np.ones((round((y2 - y1) * part), x2 - x1), np.bool_)
            masks.append(Mask.from_bitmap(inside, x=x1, y=y1))
        return tuple(masks)


@dataclass(frozen=True)
class Reply:
    """What came back over a connection."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The JSON in the body."""
        return json.loads(self.body)
