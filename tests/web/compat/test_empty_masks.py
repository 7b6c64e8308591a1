"""An object whose mask has no pixel: each dialect keeps its box, and none takes that for its outline."""

import base64
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from pycocotools import mask as coco_mask
from werkzeug.test import TestResponse

Post = Callable[..., Any]


@pytest.fixture
def post(
    app: Flask, masked: str, while_working: Callable[[Callable[[], TestResponse]], TestResponse]
) -> Post:
    """A function that posts while a worker works, and returns the answer's JSON."""

    def post(path: str, **options: Any) -> Any:
        return while_working(partial(app.test_client().post, path, **options)).json

    return post


@pytest.fixture
def wider64(wider: bytes) -> str:
    """The picture in base64."""
    return base64.b64encode(wider).decode()


def test_cvat_gets_a_rectangle(post: Post, masked: str, wider64: str) -> None:
    dog, cat = post(f"/cvat/{masked}", json={"image": wider64})
    assert (dog["type"], cat["type"]) == ("mask", "rectangle")
    assert cat["points"] == [20, 20, 29, 25]
    assert "mask" not in cat


def test_roboflow_gets_no_points_or_run_lengths_that_are_outside_all_over(
    post: Post, masked: str, wider64: str
) -> None:
    body = {"model_id": masked, "image": {"type": "base64", "value": wider64}}
    _, cat = post("/infer/instance_segmentation", json=body)["predictions"]
    assert (cat["points"], cat["width"], cat["height"]) == ([], 9, 5)
    body["response_mask_format"] = "rle"
    _, cat = post("/infer/instance_segmentation", json=body)["predictions"]
    assert coco_mask.area(cat["rle"]) == 0


@pytest.mark.parametrize(
    ("tags", "kinds"),
    [
        (["PolygonLabels", "RectangleLabels"], ["polygonlabels", "rectanglelabels"]),
        (["BrushLabels", "RectangleLabels"], ["brushlabels", "rectanglelabels"]),
        (["PolygonLabels"], ["polygonlabels"]),
        (["BrushLabels"], ["brushlabels"]),
    ],
)
def test_label_studio_gets_a_rectangle_or_nothing(
    post: Post, wider64: str, tags: list[str], kinds: list[str]
) -> None:
    labels = '<Label value="dog"/><Label value="cat"/>'
    controls = "".join(f'<{tag} name="{tag}" toName="img">{labels}</{tag}>' for tag in tags)
    body = {
        "tasks": [{"id": 1, "data": {"image": f"data:image/png;base64,{wider64}"}}],
        "label_config": f'<View><Image name="img" value="$image"/>{controls}</View>',
    }
    assert [one["type"] for one in post("/predict", json=body)["results"][0]["result"]] == kinds


def test_hugging_face_gets_a_black_picture(post: Post, masked: str, wider: bytes) -> None:
    _, cat = post(f"/pipeline/image-segmentation/{masked}", data=wider)
    with Image.open(io.BytesIO(base64.b64decode(cat["mask"]))) as mask:
        assert mask.size == (50, 30)
        assert not np.asarray(mask).any()
