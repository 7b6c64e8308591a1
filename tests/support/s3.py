"""A real S3 server."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import Ports
from tests.support.waiting import wait_until

ACCESS_KEY, SECRET_KEY, BUCKET = "test-key", "test-secret", "pictures"


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
            _wait_for_port([*within], address, ports["s3"], server)
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
    command = f"s3.bucket.create -name {BUCKET}\n"

    def is_made() -> bool:
        assert server.poll() is None, "the S3 server ended by itself"
        with suppress(subprocess.TimeoutExpired):
            said = subprocess.run(
                shell, input=command, capture_output=True, text=True, timeout=10, check=False
            )
            return "created bucket" in said.stdout + said.stderr
        return False

    wait_until(is_made, 60)


def _wait_for_port(within: Sequence[str], address: str, port: int, server: "subprocess.Popen[bytes]") -> None:
    """Return when the server accepts connections there."""
    knock = f"import socket; socket.create_connection(({address!r}, {port}), 2)"
    command = [*within, sys.executable, "-S", "-c", knock]

    def accepts() -> bool:
        assert server.poll() is None, "the S3 server ended by itself"
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    wait_until(accepts, 60)
