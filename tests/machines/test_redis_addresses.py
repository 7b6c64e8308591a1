"""The ways to a Redis that REDIS_URL can name, each with a real server."""

import http.server
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_detector.broker.connection import connect
from flask_detector.errors import SettingsError
from tests.support.ports import Ports
from tests.support.redis_servers import (
    Secured,
    answers,
    hint_of,
    running,
    running_secured,
    settings_of,
)
from tests.support.waiting import wait_until


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as ports:
        yield ports


@pytest.fixture
def plain(tmp_path: Path, ports: Ports) -> Iterator[int]:
    """The port of a Redis with a password and without TLS."""
    port = ports.new()
    with running(tmp_path / "plain", {"port": port, "requirepass": "p@ss/word"}):
        wait_until(answers(f"redis://:p%40ss%2Fword@127.0.0.1:{port}"), 20)
        yield port


def test_a_password_opens_it_and_what_is_amiss_is_said(plain: int) -> None:
    there = f"127.0.0.1:{plain}"
    assert answers(f"redis://:p%40ss%2Fword@{there}/2")()
    assert "rejects the user or password" in hint_of(f"redis://:wrong@{there}")
    assert "rejects the user or password" in hint_of(f"redis://nobody:p%40ss%2Fword@{there}")
    assert "rejects the user or password" in hint_of(f"redis://{there}")
    assert "database with that number" in hint_of(f"redis://:p%40ss%2Fword@{there}/99")
    assert "doesn't seem to use TLS" in hint_of(
        f"rediss://:p%40ss%2Fword@{there}?socket_connect_timeout=0.5&socket_timeout=0.5"
    )


def test_a_user_who_may_do_nothing_is_said(plain: int) -> None:
    with connect(f"redis://:p%40ss%2Fword@127.0.0.1:{plain}") as client:
        client.acl_setuser("web", enabled=True, passwords=["+pw"], commands=["-@all"])
    assert "allow all commands" in hint_of(f"redis://web:pw@127.0.0.1:{plain}")


def test_what_is_no_redis_is_said() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Silent) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            assert "doesn't speak Redis's protocol" in hint_of(f"redis://127.0.0.1:{other.server_port}")
            assert "doesn't seem to use TLS" in hint_of(f"rediss://127.0.0.1:{other.server_port}")
        finally:
            other.shutdown()
            thread.join(10)


class _Silent(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_an_address_where_nothing_is_is_said(ports: Ports) -> None:
    assert "Check that it is running" in hint_of(f"redis://127.0.0.1:{ports.new()}")
    assert "Check that it is running" in hint_of("unix:///nowhere/redis.sock")
    assert "host name is unknown" in hint_of("redis://no-such-host.invalid")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A Redis and a sentinel over TLS, for the tests of this file."""
    with running_secured(tmp_path_factory.mktemp("secured")) as secured:
        yield secured


def test_tls_is_verified_by_the_authority_that_is_named(tmp_path: Path, secured: Secured) -> None:
    url = f"rediss://{secured.address}?{secured.files}"
    wait_until(answers(settings_of(tmp_path, url, redis_ca=secured.authority).required_redis_url), 20)
    assert answers(f"{url}&ssl_ca_certs={secured.authority}")()
    assert "DETECTOR_REDIS_CA" in hint_of(url)
    assert "DETECTOR_REDIS_CA" in hint_of(f"{url}&ssl_ca_certs={secured.stranger}")
    elsewhere = url.replace("127.0.0.1", "localhost")
    assert "another name" in hint_of(f"{elsewhere}&ssl_ca_certs={secured.authority}")
    unverified = settings_of(tmp_path, elsewhere, redis_verify=False).required_redis_url
    assert answers(unverified)()


def test_a_client_s_certificate_opens_it_and_a_missing_or_strange_one_is_said(
    secured: Secured, tmp_path: Path
) -> None:
    url = f"rediss://{secured.address}?ssl_ca_certs={secured.authority}"
    wait_until(answers(f"{url}&{secured.files}"), 20)
    assert "require a client certificate" in hint_of(url)
    strange = f"ssl_certfile={secured.stranger}&ssl_keyfile={secured.stranger}"
    assert "require a client certificate" in hint_of(f"{url}&{strange}")
    missing = f"ssl_certfile={tmp_path}/none.pem&ssl_keyfile={tmp_path}/none.pem"
    assert "A certificate file" in hint_of(f"{url}&{missing}")
    another = f"ssl_certfile={secured.authority}&ssl_keyfile={secured.stranger}"
    assert "A certificate file" in hint_of(f"{url}&{another}")
    assert "rediss" in hint_of(f"redis://{secured.address}")


def test_sentinels_speak_tls_with_passwords_and_certificates(tmp_path: Path, secured: Secured) -> None:
    url = f"rediss+sentinel://{secured.sentinels}&{secured.files}"
    settings = settings_of(tmp_path, url, redis_ca=secured.authority)
    wait_until(answers(settings.required_redis_url), 20)
    with connect(settings.required_redis_url) as client:
        client.set("flask-detector:test", 1)
    with connect(f"rediss://{secured.address}?{secured.files}&ssl_ca_certs={secured.authority}") as leader:
        assert leader.get("flask-detector:test") == b"1"


def test_what_is_amiss_with_sentinels_is_said(tmp_path: Path, secured: Secured, ports: Ports) -> None:
    verified = f"&ssl_ca_certs={secured.authority}"
    url = f"rediss+sentinel://{secured.sentinels}{verified}&{secured.files}"
    wait_until(answers(url), 20)
    assert "sentinel_password" in hint_of(url.replace("=guard", "=wrong"))
    assert "sentinel_password" in hint_of(url.replace("sentinel_password=guard&", ""))
    assert "rejects the user or password" in hint_of(url.replace(":secret@", ":wrong@"))
    assert "of this name" in hint_of(url.replace("/pictures", "/others"))
    assert "DETECTOR_REDIS_CA" in hint_of(url.replace(verified, ""))
    assert "require a client certificate" in hint_of(url.replace(f"&{secured.files}", ""))
    assert "rediss" in hint_of(f"redis+sentinel://{secured.sentinels}")
    nowhere = hint_of(f"redis+sentinel://127.0.0.1:{ports.new()},127.0.0.1:{ports.new()}/pictures")
    assert "Check that they are running" in nowhere


def test_a_command_that_a_signal_interrupts_leaves_its_answer_to_no_other(secured: Secured) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    url = f"rediss+sentinel://{secured.sentinels}&{secured.files}&ssl_ca_certs={secured.authority}"
    wait_until(answers(url), 20)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with connect(url) as client:
            client.set("flask-detector:test", "own answer")
            timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            with pytest.raises(Interrupted):
                client.blpop(["flask-detector:never"], 2)
            timer.join()
            assert client.get("flask-detector:test") == b"own answer"
    finally:
        signal.signal(signal.SIGUSR1, before)


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
