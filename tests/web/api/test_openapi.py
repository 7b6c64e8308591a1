"""The API's description, and whether the API keeps to it."""

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_detector import errors
from flask_detector.web.api.operations import OPERATIONS
from tests.support.stack import running_stack


@pytest.fixture
def description(client: FlaskClient) -> dict[str, Any]:
    form: dict[str, Any] = client.get("/api/v1/openapi.json").json or {}
    return form


def operations_of(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["operationId"]: one for path in description["paths"].values() for one in path.values()}


def test_every_function_of_the_api_is_described(app: Flask, description: dict[str, Any]) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")}
    assert endpoints == set(OPERATIONS)
    assert {f"api.{name}" for name in operations_of(description)} == endpoints


def test_what_takes_an_administrator_s_key_says_that_others_are_refused(
    description: dict[str, Any],
) -> None:
    operations = description["paths"]["/api/v1/models/{name}"]
    for operation in operations.values():
        assert {"401", "403"} <= set(operation["responses"])
    assert operations["post"]["requestBody"]["required"] is False


def test_the_list_of_codes_is_closed(description: dict[str, Any]) -> None:
    codes = description["components"]["schemas"]["ErrorFacts"]["properties"]["code"]["enum"]
    assert set(errors.codes()) <= set(codes)


def test_every_reference_leads_somewhere(client: FlaskClient, description: dict[str, Any]) -> None:
    text = client.get("/api/v1/openapi.json").text
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert len(named) > 10
    assert named <= set(description["components"]["schemas"])


def test_the_description_is_not_sent_twice(client: FlaskClient) -> None:
    for address in ("/api/v1/openapi.json", "/api/docs"):
        first = client.get(address)
        again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304


def test_the_page_shows_every_operation_with_an_example_and_without_inline_code(
    client: FlaskClient, description: dict[str, Any]
) -> None:
    page = html.unescape(client.get("/api/docs").text)
    for name, operation in operations_of(description).items():
        assert f'id="{name}"' in page
        assert operation["summary"] in page
    assert page.count("curl ") > len(operations_of(description))
    assert not re.search(r"<script(?![^>]*src)|<style|style=|onclick|https?://(?!localhost)", page)


# The first ones end by themselves; each sequence of requests leads to others, so that those end by time.
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("phases", "seconds", "least"), [("examples,coverage,fuzzing", 240, 200), ("stateful", 40, 1)]
)
def test_schemathesis_finds_nothing_that_the_description_does_not_say(
    tmp_path: Path, phases: str, seconds: int, least: int
) -> None:
    with running_stack(tmp_path) as stack:
        command = [sys.executable, "-m", "flask_detector", "keys", "create"]
        environment = {"DETECTOR_DATA_DIR": str(stack.data_dir), "PATH": ""}
        made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")),
                f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
                "run",
                f"{stack.url}/api/v1/openapi.json",
                f"--header=Authorization: Bearer {made.stdout.strip()}",
                f"--phases={phases}",
                "--max-examples=3",
                f"--max-time={seconds}",
                "--seed=1",
                "--generation-database=none",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert found.returncode == 0, found.stdout[-20_000:]
    generated = re.search(r"(\d+) generated", found.stdout)
    assert generated is not None
    assert int(generated[1]) >= least
