"""A detection's objects, corrected by programs: versions, what can't be used, and what stays."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.jobs.keys import corrections_key, job_key
from flask_detector.settings import Settings
from flask_detector.structures.masks import Mask
from flask_detector.web import create_app
from flask_detector.web.core.service import Service
from tests.support.masks import mask_iou
from tests.support.weights import rtmdet_weights, write_safetensors

Code = Callable[[TestResponse], tuple[int, str]]
NEW = {"id": "a1", "label": "Stuhl", "box": [10, 20, 110.5, 220]}


@pytest.fixture
def annotations(finished: str) -> str:
    """The address of a finished detection's annotations."""
    return f"{finished}/annotations"


@pytest.fixture
def put(client: FlaskClient, annotations: str) -> Callable[..., TestResponse]:
    """A function that sends annotations in the place of a version, by default of any."""

    def put(document: Any, version: str = "*") -> TestResponse:
        return client.put(annotations, json=document, headers={"If-Match": version} if version else {})

    return put


def with_objects(document: dict[str, Any], *objects: dict[str, Any]) -> dict[str, Any]:
    return {**document, "objects": list(objects)}


def test_a_person_s_objects_stand_beside_what_the_model_said_and_go_again(
    client: FlaskClient, annotations: str, finished: str, put: Callable[..., TestResponse]
) -> None:
    before = client.get(finished).json
    said = client.get(annotations)
    assert before is not None
    assert said.json is not None
    assert [one["label"] for one in said.json["objects"]] == [
        one["label"] for one in before["result"]["instances"]
    ], "what is usually shown"
    first, second = said.json["objects"][:2]
    moved = {**second, "source": "person", "box": [1, 2, 30, 40]}

    saved = put(with_objects(said.json, {**first, "verified": True}, moved, NEW), said.headers["ETag"])

    assert saved.status_code == 200, saved.text
    assert saved.headers["ETag"] not in {said.headers["ETag"], ""}
    assert saved.json == client.get(annotations).json
    assert client.get(annotations, headers={"If-None-Match": saved.headers["ETag"]}).status_code == 304
    after = client.get(finished).json
    assert after is not None
    assert after["result"]["corrected"]
    assert [
        (one["label"], one["source"], one["verified"], one["score"], one["model_score"])
        for one in after["result"]["instances"]
    ] == [
        (first["label"], "model", True, 1, first["score"]),
        (second["label"], "person", False, 1, second["score"]),
        ("Stuhl", "person", False, 1, None),
    ]
    assert after["result"]["labels"] == [*before["result"]["labels"], "Stuhl"]
    assert after["result"]["timings_ms"] == before["result"]["timings_ms"]

    undone = client.delete(annotations, headers={"If-Match": saved.headers["ETag"]})

    assert (undone.status_code, undone.json, undone.headers["ETag"]) == (200, said.json, said.headers["ETag"])
    assert client.get(finished).json == before


def test_of_two_writers_the_second_is_told_who_was_first_and_can_read_it(
    client: FlaskClient, annotations: str, put: Callable[..., TestResponse], code_of: Code
) -> None:
    said = client.get(annotations)
    version = said.headers["ETag"]
    one, other = (with_objects(said.json or {}, {**NEW, "label": label}) for label in ("one", "other"))
    assert put(one, version).status_code == 200

    second = put(other, version)

    assert code_of(second) == (412, "changed_meanwhile")
    assert second.json is not None
    assert second.json["error"]["changed_by"] == "a program"
    assert second.json["error"]["changed_at"]
    current = client.get(annotations)
    assert current.headers["ETag"] == second.headers["ETag"]
    assert [o["label"] for o in (current.json or {})["objects"]] == ["one"]
    assert code_of(client.delete(annotations, headers={"If-Match": version})) == (412, "changed_meanwhile")
    assert put(one, version).status_code == 200, "what is there already is no conflict: an answer may be lost"
    assert put(other, f"W/{current.headers['ETag']}").status_code == 200, "a proxy may have compressed it"


def test_no_version_is_replaced_without_being_named(
    client: FlaskClient, annotations: str, put: Callable[..., TestResponse], code_of: Code
) -> None:
    document = client.get(annotations).json
    assert code_of(put(document, "")) == (428, "if_match_missing")
    assert code_of(put(document, '"a", "b"')) == (412, "changed_meanwhile")
    for no_version in ('W/""', '"a * b"', '"*"'):
        assert code_of(put(document, no_version)) == (412, "changed_meanwhile")
    assert put(document, f'"a", {client.get(annotations).headers["ETag"]}').status_code == 200, "one of them"
    assert code_of(client.delete(annotations)) == (428, "if_match_missing")


def test_masks_of_the_model_need_not_be_sent_and_are_kept(
    client: FlaskClient, annotations: str, put: Callable[..., TestResponse]
) -> None:
    said = client.get(annotations, query_string={"masks": "none", "min_score": 0.05}).json
    assert said is not None
    assert len(said["objects"]) > len((client.get(annotations).json or {})["objects"])
    drawn = [[[[10, 20], [60.5, 20], [60.5, 70.25]]]]

    assert put(with_objects(said, *said["objects"][:2], {**NEW, "polygons": drawn})).status_code == 200

    shown = client.get(annotations, query_string={"masks": "polygon"}).json
    assert shown is not None
    assert shown["objects"][2]["polygons"] == drawn
    assert "mask" in (client.get(annotations).json or {})["objects"][2]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"box": [0, 0, 5000, 10]}, "objects[1].box"),
        ({"box": [9, 9, 9, 20]}, "objects[1].box"),
        ({"label": ""}, "objects[1].label"),
        ({"label": "x" * 500}, "objects[1].label"),
        ({"colour": 1}, "objects[1].colour"),
        ({"id": "m0"}, "objects[1].id"),
        ({"score": 0.5}, "objects[1].score"),
        ({"source": "model"}, "objects[1].source"),
        ({"id": "m1", "score": 0.001}, "objects[1].score"),
        ({"id": "m1", "source": "model"}, "objects[1].source"),
        ({"id": "m999", "source": "model"}, "objects[1].source"),
    ],
)
def test_what_can_t_be_used_is_422_and_names_the_field(
    client: FlaskClient, annotations: str, put: Callable[..., TestResponse], change: Any, field: str
) -> None:
    said = client.get(annotations)
    refused = put(with_objects(said.json or {}, (said.json or {})["objects"][0], {**NEW, **change}))

    assert refused.status_code == 422
    assert refused.json is not None
    assert (refused.json["error"]["code"], refused.json["error"]["field"]) == ("bad_annotations", field)
    assert client.get(annotations).headers["ETag"] == said.headers["ETag"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (422, "bad_annotations")),
        (b"{", (422, "bad_annotations")),
        (b"\xff", (422, "bad_annotations")),
        (b"[" * 100_000, (422, "bad_annotations")),
        (b'{"a":' + b"9" * 5000 + b"}", (422, "bad_annotations")),
        (b'{"version": 1, "width": NaN, "height": Infinity}', (422, "bad_annotations")),
        (b'["' + b"x" * 16_000_000 + b'"]', (413, "request_too_large")),
        (b"[" + b"1," * 1_000_001 + b"1]", (400, "bad_parameter")),
    ],
)
def test_a_body_that_is_no_document_is_refused_in_words(
    client: FlaskClient, annotations: str, code_of: Code, body: bytes, expected: tuple[int, str]
) -> None:
    assert code_of(client.put(annotations, data=body, headers={"If-Match": "*"})) == expected


def test_there_is_nothing_to_correct_before_there_is_a_result(
    client: FlaskClient, post: Callable[..., TestResponse], code_of: Code
) -> None:
    waiting = f"{post().headers['Location']}/annotations"
    assert code_of(client.get(waiting)) == (409, "detection_not_finished")
    assert code_of(client.put(waiting, json={}, headers={"If-Match": "*"})) == (
        409,
        "detection_not_finished",
    )
    nowhere = f"/api/v1/detections/{'0' * 32}/annotations"
    assert code_of(client.get(nowhere)) == (404, "unknown_detection")


def test_a_correction_lives_as_long_as_its_detection(
    client: FlaskClient,
    finished: str,
    annotations: str,
    put: Callable[..., TestResponse],
    connection: redis.Redis,
    code_of: Code,
) -> None:
    id = finished.rpartition("/")[2]
    assert put(with_objects(client.get(annotations).json or {}, NEW)).status_code == 200
    assert 0 < connection.ttl(corrections_key(id)) <= connection.ttl(job_key(id))

    client.delete(finished)

    assert not connection.exists(corrections_key(id))
    assert code_of(put({"version": 1, "width": 1, "height": 1})) == (410, "detection_expired")


def test_nothing_is_written_for_a_detection_that_is_deleted_at_that_moment(
    client: FlaskClient,
    finished: str,
    annotations: str,
    put: Callable[..., TestResponse],
    service: Service,
    connection: redis.Redis,
    code_of: Code,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = client.get(annotations).json
    id = finished.rpartition("/")[2]
    write = service.corrections.write

    def delete_first(*args: Any, **options: Any) -> None:
        service.jobs.delete(id)
        write(*args, **options)

    monkeypatch.setattr(service.corrections, "write", delete_first)
    assert code_of(put(document)) == (410, "detection_expired")
    assert not connection.exists(corrections_key(id), job_key(id))


def test_a_redis_that_has_no_room_keeps_the_version_before_and_says_so(
    client: FlaskClient,
    annotations: str,
    put: Callable[..., TestResponse],
    connection: redis.Redis,
    code_of: Code,
) -> None:
    said = client.get(annotations)
    document = with_objects(said.json or {}, NEW)
    connection.config_set("maxmemory", 1)
    try:
        refused = put(document)
    finally:
        connection.config_set("maxmemory", 0)
    assert code_of(refused) == (503, "service_unavailable")
    assert client.get(annotations).headers["ETag"] == said.headers["ETag"]
    assert put(document, said.headers["ETag"]).status_code == 200


@pytest.mark.slow
def test_a_redis_that_is_gone_while_saving_is_503(
    app: Flask, settings: Settings, annotations: str, code_of: Code
) -> None:
    gone = redis.Redis(host="127.0.0.1", port=1)
    answer = (
        create_app(settings, connection=gone)
        .test_client()
        .put(annotations, data=json.dumps({}), headers={"If-Match": "*"})
    )
    assert code_of(answer) == (503, "broker_unavailable")
    assert answer.headers["Retry-After"]


def test_files_and_lists_take_the_corrected_state_unless_the_model_s_is_asked_for(
    client: FlaskClient, finished: str, annotations: str, put: Callable[..., TestResponse]
) -> None:
    addresses = {
        name: f"{finished}/{name}" for name in ("exports/json", "exports/cvat", "drawn.png", "image")
    }
    before = {name: client.get(address) for name, address in addresses.items()}
    again = {name: {"If-None-Match": answer.headers["ETag"]} for name, answer in before.items()}

    assert put(with_objects(client.get(annotations).json or {}, NEW)).status_code == 200

    after = {name: client.get(address, headers=again[name]) for name, address in addresses.items()}
    assert [name for name, answer in after.items() if answer.status_code != 200] == [], "all are asked anew"
    assert [name for name in after if after[name].data != before[name].data] == list(addresses)[:3]
    said = {"corrected": "false"}
    for name in list(addresses)[:3]:
        assert client.get(addresses[name], query_string=said).data == before[name].data
    result = (client.get(finished, query_string=said).json or {})["result"]
    assert (result["corrected"], [one.get("source") for one in result["instances"][:1]]) == (False, [None])
    only = client.get(addresses["exports/json"], query_string={"classes": "Stuhl", "min_score": "1"}).json
    assert [one["label"] for one in (only or {})["instances"]] == ["Stuhl"]


def test_a_batch_counts_and_exports_what_people_made_of_it(
    client: FlaskClient,
    post_files: Callable[..., TestResponse],
    work_off: Callable[[], None],
    shared_pictures: dict[str, bytes],
) -> None:
    batch = post_files(*shared_pictures.values()).headers["Location"]
    work_off()
    first = (client.get(batch).json or {})["detections"][0]
    address = f"{first['url']}/annotations"
    document = with_objects(client.get(address).json or {}, NEW)
    assert client.put(address, json=document, headers={"If-Match": "*"}).status_code == 200

    corrected, other = (client.get(batch).json or {})["detections"]

    assert (corrected["counts"], corrected["corrected"], other["corrected"]) == ({"Stuhl": 1}, True, False)
    exports = f"{batch}/exports/csv"
    assert [
        b"Stuhl" in data_of(client.get(exports, query_string=query)) for query in ({}, {"corrected": "false"})
    ] == [
        True,
        False,
    ]
    client.delete(address, headers={"If-Match": "*"})
    assert (client.get(batch).json or {})["detections"][0] == first


def data_of(answer: TestResponse) -> bytes:
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        return archive.read("detections.csv")


@pytest.fixture
def ask_mask(
    client: FlaskClient,
    masked: str,
    small: bytes,
    post: Callable[..., TestResponse],
    work_off: Callable[[], None],
    while_working: Callable[[Callable[[], TestResponse]], TestResponse],
) -> Callable[..., TestResponse]:
    """A function that asks a worker for the mask of a box in a small picture."""
    address = f"{post(small, f'model={masked}').headers['Location']}/annotations/mask"
    work_off()
    return lambda **body: while_working(lambda: client.post(address, json=body))


def test_a_box_becomes_the_mask_that_its_model_makes_of_it(
    ask_mask: Callable[..., TestResponse], connection: redis.Redis
) -> None:
    keys = set(connection.keys("rq:job:*"))
    dog = ask_mask(box=[2, 3, 12, 13], label="dog").json
    assert dog is not None
    assert Mask.from_rle(dog["mask"]).area == 100
    assert dog["polygons"] == [[[[2, 3], [12, 3], [12, 13], [2, 13]]]]
    new = ask_mask(box=[2, 3, 12, 13], label="written by a person").json
    assert Mask.from_rle((new or {})["mask"]).area == 50, "the model decides where it does not know the label"
    assert ask_mask(box=[2, 3, 12, 13], label="cat").json == {"mask": None, "polygons": []}
    assert set(connection.keys("rq:job:*")) == keys, "nothing is left of the jobs"
    assert connection.llen("rq:queue:detections") == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"box": [2, 3, 12, 13], "label": ""}, "label"),
        ({"box": [2, 3, 12, 13]}, "label"),
        ({"label": "dog"}, "box"),
        ({"box": [2, 3, 2, 13], "label": "dog"}, "box"),
        ({"box": [2, 3, 41, 13], "label": "dog"}, "box"),
        ({"box": [2, 3, 12, 13], "label": "dog", "mask": 1}, ""),
    ],
)
def test_a_box_that_is_none_is_refused_before_a_worker_is_asked(
    ask_mask: Callable[..., TestResponse], body: dict[str, Any], field: str
) -> None:
    refused = ask_mask(**body)
    assert refused.status_code == 422
    assert refused.json is not None
    assert refused.json["error"]["field"] == field
    assert "objects" not in refused.json["error"]["message"]


def test_a_model_of_boxes_alone_and_a_worker_that_is_away_are_said(
    client: FlaskClient,
    annotations: str,
    ask_mask: Callable[..., TestResponse],
    service: Service,
    code_of: Code,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"box": [2, 3, 12, 13], "label": "dog"}
    assert code_of(client.post(f"{annotations}/mask", json=body)) == (409, "no_mask_head")
    monkeypatch.setattr("flask_detector.web.core.annotations.MASK_SECONDS", 0.05)
    monkeypatch.setattr(service.jobs, "enqueue_mask", lambda *_, **__: None)
    assert code_of(ask_mask(**body)) == (503, "service_unavailable")


@pytest.mark.slow
def test_a_real_model_gives_its_own_masks_of_its_own_boxes(
    client: FlaskClient,
    post: Callable[..., TestResponse],
    shared: Path,
    shared_pictures: dict[str, bytes],
    work_off: Callable[[], None],
    while_working: Callable[[Callable[[], TestResponse]], TestResponse],
    service: Service,
    tmp_path: Path,
) -> None:
    write_safetensors(tmp_path / "weights.safetensors", rtmdet_weights(shared, "tiny"))
    service.models.add("mine", tmp_path / "weights.safetensors", labels=COCO_LABELS)
    address = post(shared_pictures["apartment.jpg"], "model=mine").headers["Location"]
    work_off()
    result = (client.get(address).json or {})["result"]
    for one in result["instances"][:5]:
        body = {"box": one["box"], "label": one["label"]}
        answer = while_working(lambda body=body: client.post(f"{address}/annotations/mask", json=body))  # type: ignore[misc]  # mypy infers no lambda with a default
        mask, own = (Mask.from_rle(rle) for rle in ((answer.json or {})["mask"], one["mask"]))
        assert mask_iou(mask, own, result["width"], result["height"]) > 0.98
