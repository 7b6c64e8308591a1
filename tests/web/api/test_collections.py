"""Collections by programs: whose they are, what goes in and comes out, and what is refused."""

import csv
import errno
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from werkzeug.test import TestResponse

from flask_detector.api_keys import Keys
from flask_detector.settings import Settings
from flask_detector.web import create_app
from tests.support.collected import add_picture, collection_of
from tests.support.datasets import zipped

COLLECTIONS = "/api/v1/collections"
Code = Callable[[TestResponse], tuple[int, str]]
CAT = {"id": "a", "label": "Katze 猫", "box": [1, 2, 20, 30], "verified": True}


def annotations(*objects: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 1, "width": 64, "height": 48, "objects": list(objects), **more}


@pytest.fixture
def collection(client: Any) -> str:
    return collection_of(client, "Füchse 狐")


def test_a_detection_and_a_batch_stay_when_they_are_gone(
    client: Any, collection: str, finished: str, post_files: Any, work_off: Callable[[], None], jpeg: bytes
) -> None:
    batch = post_files(jpeg, jpeg).json
    work_off()
    said = client.get(f"{finished}/annotations").json
    kept = {"detections": [finished.rpartition("/")[2]], "batches": [batch["id"]]}
    answer = client.post(f"{collection}/detections", json=kept).json
    assert (answer["added"], answer["left_out"]) == (3, [])
    again = client.post(f"{collection}/detections", json=kept).json
    assert (again["added"], again["pictures"]) == (0, answer["pictures"])
    client.delete(finished)
    picture = f"{collection}/pictures/{answer['pictures'][0]}"
    found = client.get(f"{picture}/annotations").json
    assert found["objects"] == said["objects"]
    assert client.get(collection).json["pictures"] == 3


def test_a_correction_stays_with_what_the_model_said(client: Any, collection: str, finished: str) -> None:
    said = client.get(f"{finished}/annotations").json
    mine = {"id": "a", "label": "Stuhl", "box": [1, 2, 30, 40]}
    corrected = client.put(
        f"{finished}/annotations",
        json={**said, "objects": [said["objects"][0], mine]},
        headers={"If-Match": "*"},
    ).json
    kept = {"detections": [finished.rpartition("/")[2]]}
    (id,) = client.post(f"{collection}/detections", json=kept).json["pictures"]
    picture = client.get(f"{collection}/pictures/{id}").json
    assert picture["state"] == "edited"
    assert client.get(picture["annotations"]).json["objects"] == corrected["objects"]


def test_a_picture_comes_with_its_objects_and_goes_with_its_class_renamed(
    client: Any, collection: str, jpeg: bytes
) -> None:
    id = add_picture(
        client, collection, jpeg, "狐.jpg", annotations=json.dumps(annotations(CAT)), split="val"
    )
    picture = client.get(f"{collection}/pictures/{id}").json
    assert (picture["filename"], picture["state"], picture["split"]) == ("狐.jpg", "verified", "val")
    assert client.get(picture["image"]).data == jpeg
    renamed = client.post(f"{collection}/classes", json={"old": "Katze 猫", "new": "cat"}).json
    assert renamed == {"pictures": 1}
    assert client.delete(f"{collection}/classes/cat").status_code == 400, "an object has it"
    assert client.get(collection).json["classes"] == [{"name": "cat", "objects": 1}]
    assert client.patch(picture["url"], json={"split": None}).json["split"] is None
    assert client.delete(picture["url"]).status_code == 204
    assert client.get(collection).json["pictures"] == 0


def test_pictures_are_listed_page_by_page_and_by_what_they_are(
    client: Any, collection: str, jpeg: bytes
) -> None:
    for number in range(5):
        objects = annotations(*[CAT] * (number % 2))
        add_picture(client, collection, jpeg, f"{number}.jpg", annotations=json.dumps(objects))
    names, asked = [], "limit=2"
    while asked:
        page = client.get(f"{collection}/pictures?{asked}").json
        assert page["total"] == 5
        names += [one["filename"] for one in page["pictures"]]
        asked = page["next_cursor"] and f"limit=2&cursor={page['next_cursor']}"
    assert names == [f"{number}.jpg" for number in range(5)]
    chosen = {"state=verified": 2, "state=unseen": 3, "class=Katze 猫": 2, "split=val": 0}
    for query, number in chosen.items():
        assert client.get(f"{collection}/pictures?{query}").json["total"] == number, query


def test_of_two_who_correct_the_second_is_told(client: Any, collection: str, jpeg: bytes) -> None:
    id = add_picture(client, collection, jpeg)
    url = f"{collection}/pictures/{id}/annotations"
    seen = client.get(url).headers["ETag"]
    assert client.put(url, json=annotations(CAT)).status_code == 428
    first = client.put(url, json=annotations(CAT), headers={"If-Match": seen})
    assert first.status_code == 200
    assert client.put(url, json=annotations(CAT), headers={"If-Match": seen}).status_code == 200, "repeated"
    second = client.put(url, json=annotations(), headers={"If-Match": f'{seen}, "0"'})
    assert second.status_code == 412
    assert second.headers["ETag"] == first.headers["ETag"]
    assert client.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert client.get(url).json == first.json


def test_a_split_is_the_same_each_time_and_goes_along_in_an_export(
    client: Any, collection: str, jpeg: bytes
) -> None:
    for number in range(10):
        add_picture(client, collection, jpeg, f"{number}.jpg", annotations=json.dumps(annotations(CAT)))
    assert client.post(f"{collection}/split", json={"validation": 0.2}).json["splits"] == {
        "train": 8,
        "val": 2,
    }
    first = client.get(f"{collection}/pictures?split=val").json["pictures"]
    client.post(f"{collection}/split", json={"validation": 0.2, "again": True})
    assert client.get(f"{collection}/pictures?split=val").json["pictures"] == first
    table = zipfile.ZipFile(io.BytesIO(client.get(f"{collection}/exports/csv?split=val").data))
    rows = list(csv.DictReader(io.StringIO(table.read("detections.csv").decode())))
    assert {row["file"] for row in rows} == {one["filename"] for one in first}


def test_a_collection_of_a_key_is_that_key_s_alone(
    client: Any, connection: redis.Redis, jpeg: bytes, code_of: Code
) -> None:
    (_, mine), (_, other) = Keys(connection).create("mine"), Keys(connection).create("other")
    key = {"Authorization": f"Bearer {mine}"}
    made = client.post(COLLECTIONS, json={"name": "Mine"}, headers=key)
    url = made.headers["Location"]
    assert [one["name"] for one in client.get(COLLECTIONS, headers=key).json["collections"]] == ["Mine"]
    for headers in ({}, {"Authorization": f"Bearer {other}"}):
        for answer in (
            client.get(url, headers=headers),
            client.patch(url, json={"name": "Theirs"}, headers=headers),
            client.delete(url, headers=headers),
            client.get(f"{url}/pictures", headers=headers),
            client.get(f"{url}/exports/coco", headers=headers),
            client.post(f"{url}/links/edit", headers=headers),
        ):
            assert code_of(answer) == (404, "unknown_collection")
    assert code_of(client.get(COLLECTIONS)) == (401, "key_missing")
    assert client.delete(url, headers=key).status_code == 204
    assert client.get(COLLECTIONS, headers=key).json == {"collections": []}


def test_what_is_wrong_is_said_and_where(client: Any, collection: str, jpeg: bytes, code_of: Code) -> None:
    id = add_picture(client, collection, jpeg)
    picture = f"{collection}/pictures/{id}"
    no_class, no_detection = {"old": "x", "new": "y"}, {"detections": ["x"]}
    bad: list[tuple[Any, tuple[int, str], str | None]] = [
        (client.post(COLLECTIONS, json={"name": "a\nb"}), (400, "bad_parameter"), "name"),
        (client.post(COLLECTIONS, json={"nam": "a"}), (400, "bad_parameter"), "name"),
        (client.patch(collection, json={"name": " "}), (400, "bad_parameter"), "name"),
        (client.get(f"{collection}/pictures?state=seen"), (400, "bad_parameter"), "state"),
        (client.get(f"{collection}/pictures?cursor=x"), (400, "bad_parameter"), "cursor"),
        (client.post(f"{collection}/split", json={"validation": 2}), (400, "bad_parameter"), "validation"),
        (
            client.post(f"{collection}/classes", json=no_class),
            (400, "bad_parameter"),
            "class",
        ),
        (
            client.post(f"{collection}/detections", json=no_detection),
            (404, "unknown_detection"),
            None,
        ),
        (client.get(f"{collection}/exports/word"), (404, "unknown_format"), None),
        (client.get(f"{collection}/pictures/{'0' * 32}"), (404, "unknown_picture"), None),
        (client.get(f"{COLLECTIONS}/{'0' * 32}"), (404, "unknown_collection"), None),
        (client.post(f"{collection}/pictures", data=jpeg), (400, "bad_request"), None),
        (
            client.put(
                f"{picture}/annotations",
                json=annotations({**CAT, "box": [0, 0, 65, 1]}),
                headers={"If-Match": "*"},
            ),
            (422, "bad_annotations"),
            "objects[0].box",
        ),
        (
            client.put(
                f"{picture}/annotations",
                json=annotations({**CAT, "source": "model"}),
                headers={"If-Match": "*"},
            ),
            (422, "bad_annotations"),
            "objects[0].source",
        ),
    ]
    for answer, code, field in bad:
        assert code_of(answer) == code, answer.text
        assert field is None or answer.json["error"]["field"] == field, answer.text


def test_a_full_collection_says_so_and_keeps_what_it_has(
    settings: Settings, connection: redis.Redis, jpeg: bytes, code_of: Code
) -> None:
    small = settings.model_copy(update={"owner_collections_gb": 0.00001})
    client: Any = create_app(small, connection=connection).test_client()
    collection = collection_of(client)
    add_picture(client, collection, jpeg)
    answer = client.post(f"{collection}/pictures", data={"picture": (io.BytesIO(jpeg * 20), "b.jpg")})
    assert code_of(answer) == (507, "collection_full")
    assert "0.01 MB" in answer.text
    assert client.get(collection).json["pictures"] == 1
    none: Any = create_app(
        settings.model_copy(update={"collections_gb": 0}), connection=connection
    ).test_client()
    assert code_of(none.post(COLLECTIONS, json={"name": "A"})) == (507, "collection_full")


def test_links_open_pages_with_their_rights_until_they_are_withdrawn(
    client: Any, collection: str, jpeg: bytes
) -> None:
    add_picture(client, collection, jpeg)
    read = client.post(f"{collection}/links/read").json["url"]
    edit = client.post(f"{collection}/links/edit").json["url"]
    assert client.get(collection).json["links"] == {"read": read, "edit": edit}
    assert "Shared with you to look at" in client.get(read).text
    assert "Rename or merge a class" not in client.get(read).text
    assert "Split for training" in client.get(edit).text
    assert client.delete(f"{collection}/links/read").status_code == 204
    assert client.get(read).status_code == 404
    assert client.get(edit).status_code == 200


@pytest.mark.parametrize(
    "format", ["coco", "coco-rle", "yolo", "yolo-seg", "voc", "labelme", "cvat", "label-studio"]
)
def test_what_is_exported_is_imported_again_with_its_parts(
    client: Any, collection: str, jpeg: bytes, format: str
) -> None:
    outlined = {**CAT, "polygons": [[[[10, 10], [20, 10], [20, 30], [10, 30]]]], "box": [10, 10, 20, 30]}
    one = CAT if format in {"yolo", "voc"} else outlined
    for number in range(4):
        objects = annotations({**one, "label": ("猫", "dog")[number % 2]})
        add_picture(client, collection, jpeg, f"狐 {number}.jpg", annotations=json.dumps(objects))
    parted = client.post(f"{collection}/split", json={"validation": 0.25}).json["splits"]
    exported = client.get(f"{collection}/exports/{format}").data
    other = collection_of(client)
    answer = client.post(f"{other}/imports", data=exported, content_type="application/zip")
    assert answer.status_code == 200, answer.text
    assert (answer.json["added"], answer.json["left_out"]) == (4, []), answer.json
    found = client.get(other).json
    assert {one["name"]: one["objects"] for one in found["classes"]} == {"猫": 2, "dog": 2}
    if format in {"coco", "coco-rle", "yolo", "yolo-seg", "voc", "cvat"}:
        assert found["splits"] == parted
    picture = client.get(f"{other}/pictures?class=dog").json["pictures"][0]
    assert client.get(picture["image"]).data == jpeg
    (found,) = client.get(picture["annotations"]).json["objects"]
    assert found["box"] == pytest.approx(one["box"], abs=0.01)
    assert ("mask" in found) == (one is outlined)
    again = client.post(f"{other}/imports", data=exported, content_type="application/zip").json
    assert (again["pictures"], again["added"]) == (4, 0)


def test_what_of_a_data_set_can_not_be_imported_is_listed_or_refused(
    client: Any, collection: str, jpeg: bytes, tmp_path: Path, code_of: Code
) -> None:
    labels = "0 0.5 0.5 0.2 0.2\n7 0.5 0.5 0.2 0.2\n0 0.5 nonsense\n"
    files = {"images/a.jpg": jpeg, "labels/a.txt": labels, "images/b.jpg": b"no picture", "labels/b.txt": "",
             "data.yaml": "names: [狐]"}  # fmt: skip
    data = zipped(tmp_path / "a.zip", files).read_bytes()
    answer = client.post(f"{collection}/imports", data=data, content_type="application/zip").json
    assert (answer["format"], answer["pictures"]) == ("YOLO", 1)
    assert {one["name"] for one in answer["left_out"]} >= {"labels/a.txt, line 2", "labels/a.txt, line 3"}
    assert client.get(collection).json["classes"] == [{"name": "狐", "objects": 1}]
    for bad in (data[:500], b"", jpeg):
        refused = client.post(f"{collection}/imports", data=bad, content_type="application/zip")
        assert code_of(refused)[0] == 422, refused.text
    unknown = zipped(tmp_path / "b.zip", {"a.jpg": jpeg}).read_bytes()
    refused = client.post(f"{collection}/imports", data=unknown, content_type="application/zip")
    assert code_of(refused) == (422, "unknown_dataset")
    assert "The data set" in refused.text


@pytest.mark.slow
def test_a_full_disk_or_no_redis_while_saving_loses_nothing_and_the_same_request_works_later(
    client: Any,
    collection: str,
    jpeg: bytes,
    settings: Settings,
    code_of: Code,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id = add_picture(client, collection, jpeg)
    url = f"{collection}/pictures/{id}/annotations"
    before = client.get(url)
    request = {"json": annotations(CAT), "headers": {"If-Match": before.headers["ETag"]}}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("flask_detector.storage.local.write_whole", full)
        assert code_of(client.put(url, **request)) == (503, "storage_unavailable")
        sent = {"picture": (io.BytesIO(jpeg), "b.jpg")}
        assert code_of(client.post(f"{collection}/pictures", data=sent)) == (503, "storage_unavailable")
    cut_off: Any = create_app(settings, connection=redis.Redis(port=1)).test_client()
    assert code_of(cut_off.put(url, **request)) == (503, "broker_unavailable")
    assert client.get(url).json == before.json
    assert client.get(collection).json["pictures"] == 1
    assert client.put(url, **request).json["objects"][0]["label"] == CAT["label"]
