"""The examples of docs/api.md work as they stand."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from flask_detector.webhooks import signing
from tests.support.stack import Stack

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def examples(mark: str) -> list[str]:
    """Return the indented blocks that stand behind a mark, ``<!-- mark -->``."""
    found = re.findall(rf"<!-- {mark} -->\n\n((?:    .*\n|\n)+)", TEXT)
    return [textwrap.dedent(block).strip() for block in found]


@pytest.mark.skipif(
    None in map(shutil.which, ("bash", "curl", "sed")), reason="bash, curl or sed is not on the PATH"
)
@pytest.mark.parametrize("example", examples("run"))
def test_an_example_for_curl_runs(stack: Stack, example: str, tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "picture.jpg").write_bytes(jpeg)
    strict = 'set -euo pipefail; curl() { command curl --fail-with-body --max-time 60 "$@"; }\n'
    script = f"{strict}API={stack.url}/api/v1\n{example}"
    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr


def test_there_are_examples() -> None:
    assert len(examples("run")) >= 3


def test_the_example_that_verifies_a_webhook_does() -> None:
    (example,) = examples("run: verify")
    names: dict[str, Any] = {}
    exec(example, names)
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"type": "detection.finished"}'
    headers = signing.headers_of("an id", body, secret)
    assert names["is_genuine"](headers, body, secret)
    assert not names["is_genuine"](headers, body + b" ", secret)
    old = signing.headers_of("an id", body, secret, now=1)
    assert not names["is_genuine"](old, body, secret)
