"""A web process and its Redis, which a test may kill."""

import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from flask_detector.broker.local_server import LocalRedis
from tests.support.waiting import wait_until_answered


@dataclass(frozen=True)
class Parts:
    """A web process and its Redis, which a test may kill; detections are worked off on demand."""

    url: str
    environment: dict[str, str]
    server: LocalRedis
    running: "dict[str, subprocess.Popen[bytes]]"

    def start_redis(self) -> None:
        """Start the Redis, and wait until it answers."""
        process = self.running["redis"] = subprocess.Popen(self.server.command())
        self.server.wait_until_ready(process)

    def start_web(self) -> None:
        """Start the web process, and wait until it answers."""
        command = [sys.executable, "-m", "flask_detector", "web"]
        process = self.running["web"] = subprocess.Popen(command, env=self.environment)
        wait_until_answered(self.url, process)

    def kill(self, name: str) -> None:
        """Kill one of them as a crash would."""
        self.running[name].kill()
        self.running.pop(name).wait(10)

    def work_off(self, *, seconds: float = 0, result: Path | None = None) -> None:
        """Empty the queue with the worker that finds a hundred outlined objects in each, or this result."""
        command = [sys.executable, str(Path(__file__).parents[2] / "benchmarks" / "crowd.py"), str(seconds)]
        command += [str(result)] if result else []
        subprocess.run(command, env=self.environment, check=True, timeout=60)

    def send(self, picture: bytes) -> str:
        """Send a picture by the API; return the address of its page, which everybody can open."""
        request = urllib.request.Request(f"{self.url}/api/v1/detections", picture)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return f"{self.url}/detections/{json.load(answer)['id']}"

    def end(self) -> None:
        """Kill what runs."""
        for name in list(self.running):
            self.kill(name)
        self.server.remove_socket_folder()
