import re
from collections.abc import Callable
from pathlib import Path

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_detector.detectors import MAIN_MODEL, MODELS
from flask_detector.settings import Settings
from flask_detector.web.core.service import service

Upload = Callable[..., TestResponse]


def test_another_installed_model_can_be_asked_about_the_same_picture(
    upload: Upload,
    client: FlaskClient,
    token: Callable[[], str],
    work_off: Callable[[], None],
    settings: Settings,
    pictures: Path,
) -> None:
    result = upload((pictures / "park.jpg").read_bytes(), "my park.jpg", model="nanodet-g").headers[
        "Location"
    ]
    work_off()
    assert "Detect again with" not in client.get(result).text, "there is no other model"
    file = settings.data_dir / "models" / MAIN_MODEL / MODELS[MAIN_MODEL].source.file_name
    file.parent.mkdir(parents=True)
    file.touch()
    page = client.get(result).text
    assert re.findall(r"<option>(.*)</option>", page) == [MAIN_MODEL]
    form = {"csrf_token": token(), "model": MAIN_MODEL}
    sent = client.post(f"{result}/again", data=form)
    assert sent.status_code == 303
    assert sent.headers["Location"] != result
    with client.application.app_context():
        record = service().jobs.find(sent.headers["Location"].rpartition("/")[2])
    assert (record.model, record.filename) == (MAIN_MODEL, "my park.jpg")
    refused = client.post(f"{result}/again", data={**form, "model": "no-such-model"})
    assert refused.status_code == 422
    assert "no-such-model" in refused.text
