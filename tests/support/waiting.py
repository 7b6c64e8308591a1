"""Waiting for what happens in other processes and threads."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from subprocess import Popen


def wait_until(condition: Callable[[], bool], seconds: float) -> float:
    """Return the seconds until a condition came true; fail when it takes longer than that."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"it did not come true within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - start


def wait_until_answered(url: str, process: "Popen[bytes]", *, path: str = "/healthz") -> None:
    """Return when a server answers with success; fail when its process ends before, or takes a minute."""

    def answers() -> bool:
        assert process.poll() is None, "the server ended by itself"
        try:
            urllib.request.urlopen(url + path, timeout=25).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    wait_until(answers, 60)
