import gzip
from collections.abc import Callable
from pathlib import Path

from flask import Flask, url_for
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.web.middleware.assets import FOLDER

GZIP = {"Accept-Encoding": "gzip, br"}


def static(app: Flask, filename: str) -> str:
    with app.test_request_context():
        return url_for("static", filename=filename)


def fetch(client: FlaskClient, address: str, headers: dict[str, str] | None = None) -> TestResponse:
    response = client.get(address, headers=headers)
    response.get_data()
    response.close()
    return response


def test_scripts_and_styles_come_compressed_to_who_can_read_that(app: Flask, client: FlaskClient) -> None:
    for name in ("css/base.css", "js/home/main.js"):
        plain = fetch(client, static(app, name))
        packed = fetch(client, static(app, name), GZIP)
        again = fetch(client, static(app, name), GZIP)
        assert plain.data == gzip.decompress(packed.data) == (FOLDER / name).read_bytes()
        assert packed.data == again.data
        assert len(packed.data) < len(plain.data) * 0.6
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
        assert "immutable" in packed.headers["Cache-Control"]


def test_a_compressed_file_that_the_client_has_is_not_sent_again(app: Flask, client: FlaskClient) -> None:
    address = static(app, "css/base.css")
    tag = fetch(client, address, GZIP).headers["ETag"]
    assert fetch(client, address, {**GZIP, "If-None-Match": tag}).status_code == 304


def test_pictures_and_pages_are_sent_as_they_are(app: Flask, client: FlaskClient) -> None:
    assert "Content-Encoding" not in fetch(client, static(app, "example.jpg"), GZIP).headers
    assert "Content-Encoding" not in fetch(client, "/", GZIP).headers


def test_a_result_comes_compressed(
    upload: Callable[..., TestResponse], client: FlaskClient, work_off: Callable[[], None], pictures: Path
) -> None:
    address = upload((pictures / "apartment.jpg").read_bytes()).headers["Location"]
    work_off()
    plain = client.get(f"{address}/result.json")
    packed = client.get(f"{address}/result.json", headers=GZIP)
    assert gzip.decompress(packed.data) == plain.data
    assert "Accept-Encoding" in packed.headers["Vary"]
