"""Several files in one ZIP."""

import io
import json
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from flask_detector.formats import FORMATS
from flask_detector.web.core.archives import LEFT_OUT

Upload = Callable[..., TestResponse]


def opened(client: FlaskClient, address: str) -> zipfile.ZipFile:
    answer = client.get(address)
    assert answer.mimetype == "application/zip"
    data = answer.data
    answer.close()
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


def pixels(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture
def apartment(upload: Upload, work_off: Callable[[], None], shared_pictures: dict[str, bytes]) -> str:
    """The address of a finished detection."""
    address = upload(shared_pictures["apartment.jpg"], "flat.jpg").headers["Location"]
    work_off()
    return address


def test_everything_of_a_detection_comes_in_one_file(client: FlaskClient, apartment: str) -> None:
    archive = opened(client, f"{apartment}/everything.zip")
    names = archive.namelist()
    assert names[:2] == ["detected_flat.jpg", "flat.jpg"]
    assert [name.partition("/")[0] for name in names[2:]] == list(FORMATS)
    assert archive.read("flat.jpg") == client.get(f"{apartment}/picture").data
    assert archive.read("detected_flat.jpg") == client.get(f"{apartment}/download").data
    for name in FORMATS:
        member = next(member for member in names if member.startswith(f"{name}/"))
        if not member.endswith(".zip"):  # which tells the time of its making
            assert archive.read(member) == client.get(f"{apartment}/exports/{name}").data


def test_what_is_switched_off_is_not_in_the_file(client: FlaskClient, apartment: str) -> None:
    usual = opened(client, f"{apartment}/everything.zip")
    without = opened(client, f"{apartment}/everything.zip?off=chair&hide=labels")
    labels = [i["label"] for i in json.loads(without.read("json/flat.json"))["instances"]]
    assert "chair" not in labels
    assert labels
    assert (pixels(without.read("detected_flat.jpg")) != pixels(usual.read("detected_flat.jpg"))).any()
    assert without.read("flat.jpg") == usual.read("flat.jpg")


def test_an_unfinished_detection_has_no_file(upload: Upload, client: FlaskClient, jpeg: bytes) -> None:
    address = upload(jpeg).headers["Location"]
    assert client.get(f"{address}/everything.zip").status_code == 409


@pytest.fixture
def batch(
    client: FlaskClient,
    token_of: Callable[[FlaskClient], str],
    work_off: Callable[[], None],
    shared_pictures: dict[str, bytes],
) -> str:
    """The address of a batch of two pictures of one name and one that is damaged."""
    contents = [*shared_pictures.values(), shared_pictures["street.jpg"][:5000]]
    fields = {
        "csrf_token": token_of(client),
        "picture": [FileStorage(io.BytesIO(data), "same.jpg") for data in contents],
    }
    boundary, body = encode_multipart(fields)
    sent = client.post("/detections", data=body, content_type=f'multipart/form-data; boundary="{boundary}"')
    work_off()
    return str(sent.headers["Location"])


def test_a_batch_comes_as_a_folder_for_each_picture_that_is_done(client: FlaskClient, batch: str) -> None:
    archive = opened(client, f"{batch}/everything.zip")
    assert {name.partition("/")[0] for name in archive.namelist()} == {"1_same", "2_same", LEFT_OUT}
    assert archive.read(LEFT_OUT).decode().count("same.jpg: ") == 1
    first, second = (json.loads(archive.read(f"{n}_same/json/same.json")) for n in (1, 2))
    assert {i["label"] for i in first["instances"]} != {i["label"] for i in second["instances"]}


def test_a_batch_comes_as_a_data_set_with_its_pictures(client: FlaskClient, batch: str) -> None:
    archive = opened(client, f"{batch}/datasets/coco.zip")
    (annotations,) = (name for name in archive.namelist() if name.endswith(".json"))
    form = json.loads(archive.read(annotations))
    assert len(form["images"]) == 2
    assert len(form["annotations"]) > 5
    for image in form["images"]:
        (member,) = (name for name in archive.namelist() if name.endswith(image["file_name"]))
        assert pixels(archive.read(member)).shape[:2] == (image["height"], image["width"])
    assert client.get(f"{batch}/datasets/none.zip").status_code == 404


def test_another_browser_gets_nothing_of_a_batch(client: FlaskClient, batch: str) -> None:
    stranger = client.application.test_client()
    assert stranger.get(f"{batch}/everything.zip").status_code == 404
    assert stranger.get(f"{batch}/datasets/coco.zip").status_code == 404
