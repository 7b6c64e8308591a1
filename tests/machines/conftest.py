"""What several machines share: an S3 server; and a network of hosts, each with its own address."""

import ctypes
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from flask_detector.settings import Settings
from tests.support.ports import Ports
from tests.support.stack import environment_of

ACCESS_KEY, SECRET_KEY, BUCKET = "test-key", "test-secret", "pictures"

# Of setns(2), linux/sched.h.
_CLONE_NEWNET = 0x40000000

_WEED = str(Path(sys.executable).with_name("weed"))


@dataclass(frozen=True)
class Bucket:
    """A bucket of a running S3 server."""

    name: str
    endpoint: str
    environment: dict[str, str]

    def url(self, prefix: str = "", **options: str) -> str:
        """Return the bucket's address as DETECTOR_STORAGE_URL takes it."""
        given = {"endpoint": self.endpoint, **options}
        query = "&".join(f"{name}={value}" for name, value in given.items())
        return f"s3://{self.name}/{prefix}?{query}"


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


class Network:
    """Hosts on one switch: network namespaces, joined by a bridge in one more."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._hosts: list[str] = []
        self._switch = f"{name}-switch"

    def __enter__(self) -> Self:
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        return self

    def add(self, host: str) -> str:
        """Add a host and return its address."""
        self._hosts.append(host)
        number, namespace = len(self._hosts), self._namespace(host)
        address = f"10.77.0.{number}"
        _ip("netns", "add", namespace)
        port = ["type", "veth", "peer", "name", "eth0", "netns", namespace]
        _ip("-n", self._switch, "link", "add", f"port{number}", *port)
        _ip("-n", self._switch, "link", "set", f"port{number}", "master", "bridge", "up")
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", namespace, "link", "set", device, "up")
        return address

    def cut_off(self, host: str) -> None:
        """Drop a host's link."""
        self._set_link(host, "down")

    def bring_back(self, host: str) -> None:
        """Bring a host's link up again."""
        self._set_link(host, "up")

    def command(self, host: str) -> list[str]:
        """Return what a command begins with that is to run on a host."""
        return ["ip", "netns", "exec", self._namespace(host)]

    @contextmanager
    def at(self, host: str) -> Iterator[None]:
        """Have the connections that this thread makes within the block begin at a host."""
        with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{self._namespace(host)}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def __exit__(self, *_: object) -> None:
        for host in self._hosts:
            _ip("netns", "delete", self._namespace(host))
        _ip("netns", "delete", self._switch)

    def _namespace(self, host: str) -> str:
        return f"{self._name}-{host}"

    def _set_link(self, host: str, state: str) -> None:
        _ip("-n", self._switch, "link", "set", f"port{self._hosts.index(host) + 1}", state)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _enter(namespace: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns failed")


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


@contextmanager
def running_s3(
    folder: Path, address: str, *, within: Sequence[str] = (), certificate: Path | None = None
) -> Iterator[Bucket]:
    """Run SeaweedFS with one bucket until the block ends.

    within: what its commands begin with, such as ``ip netns exec NAME``.
    certificate: a file with key and certificate, for HTTPS.
    """
    users = folder / "users.json"
    key = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    users.write_text(
        json.dumps({"identities": [{"name": "test", "credentials": [key], "actions": ["Admin"]}]})
    )
    names = ["s3", "s3.port.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc"]
    given = Ports()
    ports = {name: given.new() for name in names}
    options = {
        "dir": folder,
        "ip": address,
        "ip.bind": address,
        "s3.port": ports["s3"],
        "s3.port.grpc": ports["s3.port.grpc"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": users,
        "s3.autoCreateBucket": "false",
        "master.port": ports["master"],
        "master.port.grpc": ports["master.grpc"],
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.port": ports["volume"],
        "volume.port.grpc": ports["volume.grpc"],
        "volume.max": 4,
        "filer.port": ports["filer"],
        "filer.port.grpc": ports["filer.grpc"],
    }
    if certificate is not None:
        options |= {"s3.cert.file": certificate, "s3.key.file": certificate}
    command = [*within, _WEED, "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
    with given, (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            master = f"{address}:{ports['master']}.{ports['master.grpc']}"
            _make_bucket([*within, _WEED, "shell", f"-master={master}"], server)
            wait_for_port([*within], address, ports["s3"], server)
            yield Bucket(
                BUCKET,
                f"{'http' if certificate is None else 'https'}://{address}:{ports['s3']}",
                {
                    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                    "AWS_REGION": "us-east-1",
                },
            )
        finally:
            server.kill()
            server.wait(10)


def _make_bucket(shell: list[str], server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None, "the S3 server ended by itself"
        assert time.monotonic() < deadline, "the S3 server does not answer"
        try:
            said = subprocess.run(
                shell,
                input=f"s3.bucket.create -name {BUCKET}\n",
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
        except subprocess.TimeoutExpired:
            continue
        if "created bucket" in said.stdout + said.stderr:
            return
        time.sleep(0.3)


def wait_for_port(within: Sequence[str], address: str, port: int, server: "subprocess.Popen[bytes]") -> None:
    """Return when the server accepts connections there."""
    knock = f"import socket; socket.create_connection(({address!r}, {port}), 2)"
    deadline = time.monotonic() + 60
    while subprocess.run(
        [*within, sys.executable, "-S", "-c", knock], capture_output=True, check=False
    ).returncode:
        assert server.poll() is None, "the server ended by itself"
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.1)
