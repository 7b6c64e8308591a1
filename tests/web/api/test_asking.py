"""What can be asked about detections: waiting, repeating, listing, files, batches."""

import io
import json
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from flask_detector.formats import FORMATS
from flask_detector.jobs.queue import new_id
from flask_detector.web.core import long_poll
from flask_detector.web.core.service import Service
from tests.support.waiting import wait_until

DETECTIONS = "/api/v1/detections"
Post = Callable[..., TestResponse]
Code = Callable[[TestResponse], tuple[int, str]]


def test_who_prefers_to_wait_gets_the_finished_detection_at_once(
    app: Flask, post: Post, work_off: Callable[[], None]
) -> None:
    answers: list[TestResponse] = []
    waiting = threading.Thread(target=lambda: answers.append(post(headers={"Prefer": "wait=60"})))
    waiting.start()
    wait_until(lambda: app.extensions["flask-detector"].jobs.queue.count > 0 or not waiting.is_alive(), 60)
    work_off()
    waiting.join(60)
    (sent,) = answers
    assert (sent.status_code, sent.headers["Preference-Applied"]) == (200, "wait=60")
    assert sent.json is not None
    assert sent.json["result"]["model"] == "nanodet-g"
    assert sent.headers["Location"].endswith(sent.json["id"])


def test_who_waits_too_briefly_gets_it_as_it_stands(post: Post) -> None:
    sent = post(headers={"Prefer": "respond-async, wait=1"})
    assert (sent.status_code, sent.headers["Preference-Applied"]) == (202, "wait=1")
    assert sent.json is not None
    assert (sent.json["status"], sent.json["position"]) == ("queued", 0)


@pytest.mark.parametrize("preference", ["wait=many", "wait=-1", "await=5", "return=minimal", "wait"])
def test_a_preference_that_is_not_understood_is_ignored(post: Post, preference: str) -> None:
    assert "Preference-Applied" not in post(headers={"Prefer": preference}).headers


def test_nobody_waits_longer_than_is_allowed(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "MAX_WAIT_SECONDS", 1)
    assert post(headers={"Prefer": "wait=99999"}).headers["Preference-Applied"] == "wait=1"


def test_who_waits_for_a_picture_that_can_not_be_used_gets_that_error(
    app: Flask, post: Post, code_of: Code, jpeg: bytes, work_off: Callable[[], None]
) -> None:
    answers: list[TestResponse] = []
    headers = {"Prefer": "wait=60"}
    waiting = threading.Thread(target=lambda: answers.append(post(jpeg[:-30], headers=headers)))
    waiting.start()
    wait_until(lambda: app.extensions["flask-detector"].jobs.queue.count > 0 or not waiting.is_alive(), 60)
    work_off()
    waiting.join(60)
    assert code_of(answers[0]) == (422, "damaged_picture")
    assert answers[0].headers["Location"]


def test_only_wanted_labels_are_kept(
    client: FlaskClient, post: Post, work_off: Callable[[], None], shared_pictures: dict[str, bytes]
) -> None:
    sent = post(shared_pictures["apartment.jpg"], "classes=couch,tv&min_score=0.1")
    work_off()
    done = client.get(sent.headers["Location"]).json
    assert done is not None
    assert {one["label"] for one in done["result"]["instances"]} == {"couch", "tv"}
    assert done["classes"] == ["couch", "tv"]


def test_the_same_request_with_the_same_key_counts_once(post: Post, service: Service) -> None:
    answers = [post(headers={"Idempotency-Key": "a"}), post(query="idempotency_key=a")]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert service.jobs.queue.count == 1


@pytest.mark.parametrize("change", [{"query": "min_score=0.9"}, {"data": None}])
def test_the_same_key_with_another_request_is_refused(
    post: Post, code_of: Code, jpeg: bytes, change: dict[str, Any]
) -> None:
    post(headers={"Idempotency-Key": "a"})
    if "data" in change:
        change = {"data": jpeg + b"\0"}
    again = post(headers={"Idempotency-Key": "a"}, **change)
    assert code_of(again) == (422, "idempotency_key_reused")


def test_a_request_that_failed_may_be_repeated_with_its_key(post: Post, code_of: Code) -> None:
    assert code_of(post(b"no picture", headers={"Idempotency-Key": "a"})) == (415, "not_a_picture")
    assert post(headers={"Idempotency-Key": "a"}).status_code == 202


def test_the_key_of_a_deleted_detection_begins_anew(client: FlaskClient, post: Post) -> None:
    first = post(headers={"Idempotency-Key": "a"}).headers["Location"]
    client.delete(first)
    again = post(headers={"Idempotency-Key": "a"})
    assert again.status_code == 202
    assert again.headers["Location"] != first


def test_a_request_and_its_repetition_at_the_same_time_make_one_detection(
    post: Post, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = service.storage.put
    meanwhile: list[Any] = []

    def put_slowly(*picture: Any) -> None:
        put(*picture)
        if not meanwhile:
            meanwhile.append(None)
            meanwhile[0] = post(headers={"Idempotency-Key": "a"}).headers["Location"]

    monkeypatch.setattr(service.storage, "put", put_slowly)
    answer = post(headers={"Idempotency-Key": "a"})
    assert (answer.status_code, answer.headers["Location"]) == (202, meanwhile[0])
    assert service.jobs.count() == 1
    assert list(service.storage.older_than(-60)) == [meanwhile[0].rpartition("/")[2]]


def test_two_requests_with_the_same_key_at_the_same_time_are_not_taken_for_one(
    post: Post, code_of: Code, service: Service, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = service.storage.put
    meanwhile: list[Any] = []

    def put_slowly(*picture: Any) -> None:
        put(*picture)
        if not meanwhile:
            meanwhile.append(None)
            meanwhile[0] = post(jpeg + b"\0", headers={"Idempotency-Key": "a"}).status_code

    monkeypatch.setattr(service.storage, "put", put_slowly)
    assert code_of(post(headers={"Idempotency-Key": "a"})) == (422, "idempotency_key_reused")
    assert meanwhile == [202]
    assert service.jobs.count() == 1
    assert len(list(service.storage.older_than(-60))) == 1


def test_the_key_of_a_batch_is_no_other_requests(
    client: FlaskClient, post: Post, code_of: Code, jpeg: bytes
) -> None:
    pictures = [(io.BytesIO(jpeg), "a.jpg"), (io.BytesIO(jpeg), "b.jpg")]
    client.post(DETECTIONS, data={"picture": pictures}, headers={"Idempotency-Key": "a"})
    assert code_of(post(headers={"Idempotency-Key": "a"})) == (422, "idempotency_key_reused")


def test_each_api_key_has_idempotency_keys_of_its_own(post: Post, service: Service) -> None:
    _, text = service.keys.create("a")
    first = post(headers={"Idempotency-Key": "a"})
    assert (
        post(headers={"Idempotency-Key": "a", "X-API-Key": text}).headers["Location"]
        != first.headers["Location"]
    )


def test_a_batch_with_an_idempotency_key_counts_once(
    client: FlaskClient, jpeg: bytes, service: Service
) -> None:
    def send() -> TestResponse:
        pictures = [(io.BytesIO(jpeg), "a.jpg"), (io.BytesIO(jpeg), "b.jpg")]
        return client.post(DETECTIONS, data={"picture": pictures}, headers={"Idempotency-Key": "a"})

    assert send().headers["Location"] == send().headers["Location"]
    assert service.jobs.queue.count == 2


def test_a_key_lists_its_own_detections_page_by_page(
    client: FlaskClient, post: Post, service: Service
) -> None:
    _, text = service.keys.create("a")
    headers = {"X-API-Key": text}
    post()  # somebody else's
    sent = [post(headers=headers).headers["Location"] for _ in range(5)]
    found: list[str] = []
    cursor = ""
    for _ in range(3):
        page = client.get(f"{DETECTIONS}?limit=2{cursor}", headers=headers).json
        assert page is not None
        found += [one["url"] for one in page["detections"]]
        cursor = f"&cursor={page['next_cursor']}"
        last = page["next_cursor"]
    assert last is None
    assert found == sent[::-1]


def test_without_a_key_there_is_no_list(client: FlaskClient, code_of: Code) -> None:
    assert code_of(client.get(DETECTIONS)) == (401, "key_missing")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=1", "cursor=../..", "page=2"])
def test_a_page_that_can_not_be_is_refused(client: FlaskClient, service: Service, query: str) -> None:
    _, text = service.keys.create("a")
    answer = client.get(f"{DETECTIONS}?{query}", headers={"X-API-Key": text})
    assert (answer.status_code, answer.json and answer.json["error"]["field"]) == (
        400,
        query.partition("=")[0],
    )


def test_masks_are_sent_as_asked_for(client: FlaskClient, finished: str) -> None:
    for masks in ("none", "rle", "polygon"):
        answer = client.get(f"{finished}?masks={masks}")
        assert answer.status_code == 200  # the embedded model has none; wire's own tests have some


def test_a_finished_detection_is_not_sent_twice(client: FlaskClient, finished: str) -> None:
    first = client.get(finished)
    again = client.get(finished, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(f"{finished}?masks=none", headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


def test_a_detection_tells_when_it_began_and_ended(client: FlaskClient, finished: str) -> None:
    form = client.get(finished).json
    assert form is not None
    assert form["created_at"] <= form["started_at"] <= form["ended_at"] < form["expires_at"]
    assert form["result"]["timings_ms"]["decode"] > 0


@pytest.mark.parametrize(
    "file", ["image", "drawn.jpg", "drawn.png", "drawn.webp", "exports/coco", "exports/csv"]
)
def test_a_file_is_not_sent_twice_and_gone_with_its_detection(
    client: FlaskClient, finished: str, file: str
) -> None:
    first = client.get(f"{finished}/{file}")
    assert first.status_code == 200
    headers = {"If-None-Match": first.headers["ETag"]}
    assert client.get(f"{finished}/{file}", headers=headers).status_code == 304
    assert client.get(f"{finished}/{file}?min_score=0.9", headers=headers).status_code != 304
    client.delete(finished)
    assert client.get(f"{finished}/{file}", headers=headers).status_code == 410


def test_what_is_drawn_can_be_chosen(client: FlaskClient, finished: str) -> None:
    def drawn(query: str = "") -> bytes:
        answer = client.get(f"{finished}/drawn.png?{query}")
        assert Image.open(io.BytesIO(answer.data)).format == "PNG"
        return bytes(answer.data)

    assert len({drawn(), drawn("show=boxes"), drawn("min_score=0.7"), drawn("classes=tv")}) == 4


def test_every_format_is_exported(client: FlaskClient, finished: str, code_of: Code) -> None:
    for name, kind in FORMATS.items():
        answer = client.get(f"{finished}/exports/{name}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind.media_type)
    assert code_of(client.get(f"{finished}/exports/word")) == (404, "unknown_format")
    assert code_of(client.get(f"{finished}/exports/csv?classes=unicorn")) == (422, "unknown_label")


@pytest.mark.parametrize("file", ["drawn.jpg", "exports/coco"])
def test_a_file_of_a_result_that_is_not_there_yet_is_refused(
    client: FlaskClient, post: Post, code_of: Code, file: str
) -> None:
    address = post().headers["Location"]
    assert code_of(client.get(f"{address}/{file}")) == (409, "detection_not_finished")
    assert client.get(f"{address}/image").status_code == 200


def test_a_cancelled_detection_stays_cancelled(client: FlaskClient, post: Post) -> None:
    address = post().headers["Location"]
    for _ in range(2):
        answer = client.post(f"{address}/cancel")
        assert (answer.status_code, answer.json and answer.json["status"]) == (200, "cancelled")


def test_news_end_with_the_detection(client: FlaskClient, finished: str) -> None:
    events = client.get(f"{finished}/events").text
    assert json.loads(events.rpartition("data: ")[2])["status"] == "done"


@pytest.mark.parametrize(
    "place", ["", "/image", "/drawn.png", "/exports/csv", "/events", "/cancel", "/../batches"]
)
def test_what_is_not_there_and_what_is_anothers_look_the_same(
    client: FlaskClient, post: Post, service: Service, place: str, code_of: Code
) -> None:
    _, text = service.keys.create("a")
    foreign = post(headers={"X-API-Key": text}).headers["Location"]
    for address in (foreign, f"{DETECTIONS}/{new_id()}", f"{DETECTIONS}/%00", f"{DETECTIONS}/{'x' * 500}"):
        ask = client.post if place == "/cancel" else client.get
        assert ask(f"{address}{place}").status_code == 404


def test_a_batch_is_one_resource_with_all_its_pictures(
    client: FlaskClient,
    post_files: Post,
    work_off: Callable[[], None],
    shared_pictures: dict[str, bytes],
    code_of: Code,
) -> None:
    sent = post_files(*shared_pictures.values(), b"no picture")
    address = sent.headers["Location"]
    assert sent.json is not None
    assert (sent.status_code, sent.json["status"], sent.json["counts"]) == (202, "queued", {"queued": 2})
    assert [one["error"]["code"] for one in sent.json["refused"]] == ["not_a_picture"]
    assert code_of(client.get(f"{address}/exports/coco")) == (409, "detection_not_finished")
    work_off()
    done = client.get(address, headers={"Prefer": "wait=5"}).json
    assert done is not None
    assert (done["status"], done["counts"]) == ("done", {"done": 2})
    data = client.get(f"{address}/exports/yolo")
    names = zipfile.ZipFile(io.BytesIO(data.data)).namelist()
    # One of them is called .jpg and is a WebP.
    assert sorted(name.rpartition(".")[2] for name in names if name.startswith("images/")) == ["jpg", "webp"]
    assert code_of(client.get(f"{address}/exports/word")) == (404, "unknown_format")
    assert code_of(client.get(f"{address}/exports/csv?classes=chair,unicorn")) == (422, "unknown_label")
    assert client.get(f"{address}/exports/csv?classes=chair").status_code == 200
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    assert [client.get(one["url"]).status_code for one in done["detections"]] == [410, 410]


def test_a_batch_of_a_key_is_seen_with_that_key_alone(
    client: FlaskClient, jpeg: bytes, service: Service
) -> None:
    _, text = service.keys.create("a")
    pictures = [(io.BytesIO(jpeg), "a.jpg"), (io.BytesIO(jpeg), "b.jpg")]
    sent = client.post(DETECTIONS, data={"picture": pictures}, headers={"X-API-Key": text})
    assert client.get(sent.headers["Location"]).status_code == 404
    assert client.get(sent.headers["Location"], headers={"X-API-Key": text}).status_code == 200


def test_when_all_pictures_of_a_batch_are_bad_the_first_reason_is_told(
    post_files: Post, code_of: Code
) -> None:
    assert code_of(post_files(b"", b"no picture")) == (400, "empty_picture")


def test_the_labels_of_a_model_are_listed(client: FlaskClient, code_of: Code) -> None:
    answer = client.get("/api/v1/labels").json
    assert answer is not None
    assert (answer["model"], answer["labels"][0], len(answer["labels"])) == ("nanodet-g", "person", 80)
    assert code_of(client.get("/api/v1/labels?model=gpt")) == (422, "unknown_model")
