"""Every picture that can't be used gets its own words and status, at the door or when it is decoded."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from PIL import ExifTags, Image
from werkzeug.test import TestResponse

from flask_detector.settings import DEFAULT_QUEUE, Settings

Upload = Callable[..., TestResponse]


def a_picture(size: tuple[int, int] = (64, 48), format: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(file, format, **options)
    return file.getvalue()


def a_bomb() -> bytes:
    """30 KB that would be a picture of 3.6 gigapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(30_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


# What the header alone tells never reaches the queue.
BAD = {
    "not a picture": (b"%PDF-1.7 a document, not a picture", 415, "not_a_picture"),
    "an empty file": (b"", 400, "empty_picture"),
    "half a header": (a_picture()[:30], 422, "damaged_picture"),
    "a decompression bomb": (a_bomb(), 413, "too_many_pixels"),
}

# What only decoding tells ends as a failed detection.
DAMAGED = {
    "a JPEG with an end marker behind its half": a_picture((640, 480))[:20_000] + b"\xff\xd9",
    "a progressive one, too": a_picture((640, 480), progressive=True)[:20_000] + b"\xff\xd9",
    "a truncated picture": a_picture((640, 480))[:-2000],
    "a truncated PNG": a_picture((640, 480), "PNG")[:-2000],
    "a header alone": a_picture((640, 480), "PNG")[:60],
}


def is_untouched(connection: redis.Redis, settings: Settings) -> bool:
    kept = [path for path in (settings.data_dir / "pictures").rglob("*") if path.is_file()]
    return connection.llen(f"rq:queue:{DEFAULT_QUEUE}") == 0 and not kept


@pytest.mark.parametrize("case", BAD)
def test_a_bad_upload_gets_a_page_that_says_what_to_do(
    case: str, upload: Upload, connection: redis.Redis, settings: Settings
) -> None:
    data, status, code = BAD[case]
    answer = upload(data)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert f'data-code="{code}"' in answer.text
    assert is_untouched(connection, settings)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_picture_gets_the_same_words_from_the_api(
    case: str, client: FlaskClient, connection: redis.Redis, settings: Settings
) -> None:
    data, status, code = BAD[case]
    answer = client.post("/api/v1/detections", data=data, content_type="image/jpeg")
    assert answer.status_code == status
    assert answer.json is not None
    assert set(answer.json["error"]) == {"code", "message", "hint"}
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["hint"]
    assert is_untouched(connection, settings)


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_picture_fails_with_a_page_that_says_what_to_do(
    case: str, upload: Upload, client: FlaskClient, work_off: Callable[[], None]
) -> None:
    address = upload(DAMAGED[case]).headers["Location"]
    work_off()
    answer = client.get(address)
    assert (answer.status_code, answer.mimetype) == (422, "text/html")
    assert "cut short, corrupt or of a rare kind" in answer.text
    assert "Send the original again" in answer.text


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_picture_fails_with_the_same_words_in_the_api(
    case: str, client: FlaskClient, work_off: Callable[[], None]
) -> None:
    sent = client.post("/api/v1/detections", data=DAMAGED[case], content_type="image/jpeg")
    assert sent.status_code == 202
    work_off()
    failed = client.get(sent.headers["Location"]).json
    assert failed is not None
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "damaged_picture"
    assert "cut short, corrupt or of a rare kind" in failed["error"]["message"]
    assert "Send the original again" in failed["error"]["hint"]


def test_a_turn_that_stands_behind_the_pixels_is_told_at_once(
    client: FlaskClient, work_off: Callable[[], None]
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = a_picture((64, 48), "PNG", exif=exif)
    at, end = data.index(b"eXIf") - 4, data.index(b"IDAT") - 4
    moved = data[:at] + data[end:-12] + data[at:end] + data[-12:]
    sent = client.post("/api/v1/detections", data=moved).json
    assert sent is not None
    assert (sent["width"], sent["height"]) == (48, 64)
    work_off()
    done = client.get(f"/api/v1/detections/{sent['id']}").json
    assert done is not None
    assert (done["status"], done["width"], done["height"]) == ("done", 48, 64)


def test_the_bomb_is_small() -> None:
    assert len(a_bomb()) < 31_000


def test_a_form_without_a_file_is_told_so(client: FlaskClient, token: Callable[[], str]) -> None:
    answer = client.post("/detections", data={"csrf_token": token()})
    assert answer.status_code == 400
    assert 'data-code="no_picture"' in answer.text


def test_a_form_whose_file_was_not_chosen_is_told_so(upload: Upload) -> None:
    answer = upload(b"", name="")
    assert answer.status_code == 400
    assert 'data-code="no_picture"' in answer.text


def test_a_file_over_the_limit_is_refused_with_the_limit(upload: Upload, connection: redis.Redis) -> None:
    answer = upload(a_picture() + bytes(26_000_000))
    assert answer.status_code == 413
    assert 'data-code="picture_too_large"' in answer.text
    assert "25" in answer.text
    assert connection.llen(f"rq:queue:{DEFAULT_QUEUE}") == 0


def test_a_file_just_over_the_limit_is_refused_too(upload: Upload) -> None:
    assert upload(a_picture() + bytes(25_000_001)).status_code == 413


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (3, 2)])
def test_odd_sizes_are_detected_and_drawn(
    size: tuple[int, int], upload: Upload, client: FlaskClient, work_off: Callable[[], None]
) -> None:
    address = upload(a_picture(size, "PNG"), "odd.png").headers["Location"]
    work_off()
    assert client.get(address).status_code == 200
    drawn = Image.open(io.BytesIO(client.get(f"{address}/download").data))
    assert drawn.size == size


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_the_first_picture_of_an_animation_is_used(
    format: str, upload: Upload, client: FlaskClient, work_off: Callable[[], None]
) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:])
    address = upload(file.getvalue(), f"animated.{format.lower()}").headers["Location"]
    work_off()
    drawn = Image.open(io.BytesIO(client.get(f"{address}/download").data)).convert("RGB")
    assert getattr(drawn, "n_frames", 1) == 1
    colour = np.asarray(drawn).reshape(-1, 3).mean(axis=0)
    assert colour[0] > 200
    assert colour[2] < 60


def test_a_picture_that_turns_out_bad_in_the_worker_fails_with_a_page(
    upload: Upload, client: FlaskClient, work_off: Callable[[], None], settings: Settings
) -> None:
    address = upload(a_picture()).headers["Location"]
    (original,) = (settings.data_dir / "pictures").rglob("original")
    original.write_bytes(b"the disk lost it")
    work_off()
    answer = client.get(address)
    assert answer.status_code == 415
    assert "not a picture" in answer.text
    assert client.get(f"{address}/download").status_code == 500


def test_a_full_queue_turns_pictures_away_with_a_time_to_come_back(
    settings: Settings, connection: redis.Redis
) -> None:
    from flask_detector.web import create_app

    app: Flask = create_app(settings.model_copy(update={"max_queue": 1}), connection=connection)
    client = app.test_client()
    assert client.post("/api/v1/detections", data=a_picture()).status_code == 202
    answer = client.post("/api/v1/detections", data=a_picture())
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (503, "queue_full")
    assert int(answer.headers["Retry-After"]) > 0
