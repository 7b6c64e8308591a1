"""What several machines share: an S3 server, and a network."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from flask_detector.settings import Settings
from tests.support.network import Network
from tests.support.s3 import Bucket, running_s3
from tests.support.stack import environment_of


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket of a real S3 server, for all tests of the session."""
    with running_s3(tmp_path_factory.mktemp("s3"), "127.0.0.1") as bucket:
        yield bucket


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    """The conventional variables with a key to the bucket."""
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def start_worker_with() -> Iterator[Callable[[Settings], "subprocess.Popen[bytes]"]]:
    """A function that starts a real worker process with these settings; all of them end with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(settings: Settings) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "flask_detector", "worker", "--queue", settings.queue]
        running.append(subprocess.Popen(command, env=environment_of(settings)))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait(10)


@pytest.fixture
def network() -> Iterator[Network]:
    """A network of the test's own, which nothing else on the machine sees."""
    if shutil.which("ip") is None:
        pytest.skip("the command ip is not installed")
    network = Network(f"fd{secrets.token_hex(3)}")
    try:
        network.__enter__()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces can be made here: {error.stderr.strip()}")
    try:
        yield network
    finally:
        network.__exit__()


@pytest.fixture
def s3_on() -> Callable[..., AbstractContextManager[Bucket]]:
    """A function that runs an S3 server on a host of a network."""

    def run(network: Network, host: str, address: str, folder: Path) -> AbstractContextManager[Bucket]:
        folder.mkdir()
        return running_s3(folder, address, within=network.command(host))

    return run
