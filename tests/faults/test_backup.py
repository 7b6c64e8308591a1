"""The commands of docs/deploy/backup.md: a copy of a running installation goes on elsewhere."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.support.stack import running_stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "deploy" / "backup.md"


def run_commands(of: str, **variables: str) -> None:
    """Run the page's commands for that, as a shell does that stops at the first fault."""
    (block,) = re.findall(
        rf"^<!-- {of} -->\n\n((?:    .+\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    subprocess.run(["sh", "-euc", block], env={**os.environ, **variables}, check=True, timeout=60)


def ask(url: str, path: str, data: bytes | None = None) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/detections{path}", data, timeout=30) as answer:
        return json.load(answer)


def test_what_is_done_and_what_waits_is_there_after_a_restore_elsewhere(
    tmp_path: Path,
    jpeg: bytes,
) -> None:
    first, second, backup = tmp_path / "first", tmp_path / "second", str(tmp_path / "backup")

    def status_at(url: str, id: str) -> str:
        return str(ask(url, f"/{id}")["status"])

    with running_stack(first) as stack, requests.Session() as visitor:
        form = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', visitor.get(stack.url, timeout=30).text)
        assert form is not None
        mine = visitor.post(
            f"{stack.url}/detections",
            {"csrf_token": form[1]},
            files={"picture": ("mine.jpg", jpeg)},
            timeout=30,
        ).url.removeprefix(stack.url)
        done = [ask(stack.url, "", jpeg)["id"] for _ in range(5)]
        wait_until(lambda: all(status_at(stack.url, id) == "done" for id in done), 40)
        results = [ask(stack.url, f"/{id}")["result"] for id in done]
        (worker,) = [
            one for one in psutil.Process(stack.process.pid).children() if one.cmdline()[-1:] == ["worker"]
        ]
        worker.send_signal(signal.SIGSTOP)  # one in its hands, the others wait
        waiting = [ask(stack.url, "", jpeg)["id"] for _ in range(5)]
        run_commands("backup", DATA=str(first), BACKUP=backup)
        worker.kill()
    run_commands("restore", DATA=str(second), BACKUP=backup)
    with running_stack(second) as stack:
        assert [ask(stack.url, f"/{id}")["result"] for id in done] == results
        wait_until(lambda: all(status_at(stack.url, id) == "done" for id in waiting), 60)
        for id in (*done, *waiting):
            with urllib.request.urlopen(f"{stack.url}/api/v1/detections/{id}/image", timeout=30) as picture:
                assert picture.read(3) == b"\xff\xd8\xff"
        assert visitor.get(f"{stack.url}{mine}", timeout=30).status_code == 200
    assert Path(backup).stat().st_mode & 0o077 == 0
