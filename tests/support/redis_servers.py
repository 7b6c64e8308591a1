"""Redis servers and sentinels of a test's own."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from flask_detector.broker.connection import check, connect
from flask_detector.errors import BrokerUnavailable
from flask_detector.settings import Settings
from tests.support.ports import Ports
from tests.support.waiting import wait_until

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")


@contextmanager
def running(
    folder: Path, options: Mapping[str, object], *, sentinel: str | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a Redis server with these options until the block ends; with further lines it is a sentinel."""
    if SERVER is None:
        pytest.skip("no redis-server or valkey-server is on the PATH")
    folder.mkdir(parents=True)
    lines = ["bind 127.0.0.1", *(f"{name} {value}" for name, value in options.items())]
    lines.append('save ""' if sentinel is None else sentinel)
    (folder / "server.conf").write_text("\n".join(lines) + "\n")
    command = [SERVER, "server.conf", *([] if sentinel is None else ["--sentinel"])]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


@dataclass(frozen=True)
class Secured:
    """A Redis and its sentinel, who speak TLS only and want to see a client's certificate.

    address, sentinels: what follows the scheme in a URL.
    files: what its query says of the client's certificate.
    stranger: a certificate of another authority.
    """

    address: str
    sentinels: str
    authority: Path
    stranger: Path
    files: str


@contextmanager
def running_secured(folder: Path) -> Iterator[Secured]:
    """Run a Redis and a sentinel over TLS until the block ends."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, issuer in (("redis", authority), ("client", authority), ("stranger", trustme.CA())):
        issued = issuer.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    tls = {
        "tls-cert-file": folder / "redis.pem",
        "tls-key-file": folder / "redis.pem",
        "tls-ca-cert-file": folder / "ca.pem",
        "tls-replication": "yes",
        "tls-auth-clients": "yes",
        "port": 0,
    }
    with Ports() as ports:
        port, guard = ports.new(), ports.new()
        watched = f"sentinel monitor pictures 127.0.0.1 {port} 1\nsentinel auth-pass pictures secret"
        with (
            running(folder / "server", tls | {"tls-port": port, "requirepass": "secret"}) as server,
            running(folder / "sentinel", tls | {"tls-port": guard, "requirepass": "guard"}, sentinel=watched),
        ):
            log = folder / "server" / "log"
            wait_until(lambda: server.poll() is not None or b"Ready to accept" in log.read_bytes(), 20)
            if b"TLS" in log.read_bytes():  # as the one that comes with the package
                pytest.skip(f"{SERVER} is built without TLS")
            assert server.poll() is None, log.read_text()
            yield Secured(
                f":secret@127.0.0.1:{port}/0",
                f":secret@127.0.0.1:{guard}/pictures/0?sentinel_password=guard",
                folder / "ca.pem",
                folder / "stranger.pem",
                f"ssl_certfile={folder}/client.pem&ssl_keyfile={folder}/client.pem",
            )


def answers(url: str) -> Callable[[], bool]:
    """Return what tells whether the Redis of an address answers."""

    def ask() -> bool:
        try:
            with connect(url) as client:
                check(client)
        except BrokerUnavailable:
            return False
        return True

    return ask


def hint_of(url: str) -> str:
    """Return what to do about a Redis that must not answer."""
    with connect(url) as client, pytest.raises(BrokerUnavailable) as raised:
        check(client)
    hint: str = raised.value.hint
    return hint


def settings_of(folder: Path, url: str, **given: object) -> Settings:
    """Return the settings of an installation with this Redis."""
    return Settings(data_dir=folder, redis_url=url, **given)  # type: ignore[arg-type]  # pydantic checks them
