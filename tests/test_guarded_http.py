"""Requests to addresses that users name, against real servers."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from flask_detector import guarded_http
from flask_detector.errors import AddressRefused, AddressUnreachable
from flask_detector.guarded_http import Rules

OPEN = Rules(allow_private=True, seconds=20, max_bytes=1000)
CLOSED = Rules(allow_private=False, seconds=20, max_bytes=1000)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        if self.path == "/slowly":
            self.server.hops.append(self.path)
            time.sleep(0.4)
            self.send_response(302)
            self.send_header("Location", "/slowly")
            self.end_headers()
            return
        self.send_response(200)
        if self.path == "/headers":
            self.flush_headers()
            while True:
                time.sleep(0.05)
                self.wfile.write(b"X-More: x\r\n"[: 1 + int(time.monotonic() * 20) % 4])
        self.end_headers()
        if self.path == "/drip":
            while True:
                time.sleep(0.05)
                self.wfile.write(b".")
        self.wfile.write(
            b"x" * 2000 if self.path == "/large" else f"{self.headers['Host']} {self.path}".encode()
        )

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.hops: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The tests hang up early."""


@pytest.fixture
def serve(serve_http: Callable[[HTTPServer], str]) -> Callable[..., int]:
    """A function that starts a web server and returns its port."""

    def start(tls: ssl.SSLContext | None = None) -> int:
        server = _Server(("127.0.0.1", 0), _Handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        serve_http(server)
        return server.server_port

    return start


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What host names lead to, one address each time that one is asked for."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        return real(known[host].pop(0) if host in known else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",  # the same as a number
        "0x7f.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_an_address_that_is_not_public_is_never_asked(host: str) -> None:
    with pytest.raises(AddressRefused):
        guarded_http.send("GET", f"http://{host}:1/", CLOSED)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_public_address_is_known_as_such(address: str) -> None:
    assert guarded_http.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com",
        "example.com",
        "http://",
        "http://user:word@example.com/",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://[::1",
        "http://example.com/\r\nX: y",
        "http://example.com/" + "a" * 3000,
        "",
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        guarded_http.parse(url)


def test_an_answer_comes_with_its_host_path_and_query(serve: Callable[..., int]) -> None:
    port = serve()
    answer = guarded_http.send("GET", f"http://localhost:{port}/a b?c=ü", OPEN)
    assert (answer.status, answer.body.decode()) == (200, f"localhost:{port} /a%20b?c=%C3%BC")


def test_a_name_is_resolved_once_and_that_address_connected_to(
    serve: Callable[..., int], names: dict[str, list[str]]
) -> None:
    names["rebinding.test"] = ["127.0.0.1", "127.0.0.2"]
    assert guarded_http.send("GET", f"http://rebinding.test:{serve()}/", OPEN).status == 200
    assert names["rebinding.test"] == ["127.0.0.2"]


def test_a_name_that_leads_into_the_private_network_is_refused(names: dict[str, list[str]]) -> None:
    names["innocent.test"] = ["192.168.0.1"]
    with pytest.raises(AddressRefused):
        guarded_http.send("GET", "http://innocent.test/", CLOSED)


def test_an_unknown_name_is_unreachable() -> None:
    with pytest.raises(AddressUnreachable):
        guarded_http.send("GET", "http://nowhere.invalid/", OPEN)


def test_no_redirect_is_followed_unless_asked_for(serve: Callable[..., int]) -> None:
    assert guarded_http.send("GET", f"http://127.0.0.1:{serve()}/to//end", OPEN).status == 302


def test_redirects_are_followed_as_often_as_allowed(serve: Callable[..., int]) -> None:
    url, twice = f"http://127.0.0.1:{serve()}", Rules(True, 20, 1000, max_redirects=2)
    assert guarded_http.send("GET", f"{url}/to//to//end", twice).url == f"{url}/end"
    with pytest.raises(AddressUnreachable):
        guarded_http.send("GET", f"{url}/to//to//to//end", twice)


def test_a_redirect_into_the_private_network_is_refused(
    serve: Callable[..., int], names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_http, "is_public", lambda address: str(address) == "127.0.0.1")
    rules = Rules(False, 20, 1000, max_redirects=3)
    with pytest.raises(AddressRefused):
        guarded_http.send("GET", f"http://127.0.0.1:{serve()}/to/http://10.0.0.1/secret", rules)


def test_a_body_is_cut_at_the_limit(serve: Callable[..., int]) -> None:
    answer = guarded_http.send("GET", f"http://127.0.0.1:{serve()}/large", OPEN)
    assert (len(answer.body), answer.is_whole) == (1000, False)


def test_a_server_that_dribbles_is_cut_off(serve: Callable[..., int]) -> None:
    with pytest.raises(AddressUnreachable):
        guarded_http.send("GET", f"http://127.0.0.1:{serve()}/drip", Rules(True, 0.5, 10_000_000))


def test_headers_that_dribble_are_cut_off(serve: Callable[..., int]) -> None:
    with pytest.raises(AddressUnreachable, match=r"within 0\.5 seconds"):
        guarded_http.send("GET", f"http://127.0.0.1:{serve()}/headers", Rules(True, 0.5, 1000))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_says_nothing_is_cut_off(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(AddressUnreachable, match=r"within 0\.5 seconds"):
            guarded_http.send("GET", url, Rules(True, 0.5, 1000))


def test_all_redirects_share_one_time(serve_http: Callable[[HTTPServer], str]) -> None:
    server = _Server(("127.0.0.1", 0), _Handler)
    url = f"{serve_http(server)}/slowly"
    with pytest.raises(AddressUnreachable, match="within 1 seconds"):
        guarded_http.send("GET", url, Rules(True, 1, 1000, max_redirects=50))
    assert 0 < len(server.hops) <= 3


def test_a_name_that_takes_long_to_look_up_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, asked = threading.Event(), list[str]()

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        answered.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for _ in range(80):  # more than are looked up at once
        with pytest.raises(AddressUnreachable, match=r"within 0\.02 seconds"):
            guarded_http.send("GET", "http://slow.test/", Rules(True, 0.02, 1000))
    answered.set()
    assert len(asked) == 64


def test_tls_is_checked_against_the_name(
    serve: Callable[..., int],
    names: dict[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("right.test").configure_cert(context)
    port = serve(context)
    names.update({"right.test": ["127.0.0.1"] * 2, "wrong.test": ["127.0.0.1"]})
    with pytest.raises(AddressUnreachable):  # nobody vouches for it yet
        guarded_http.send("GET", f"https://right.test:{port}/", OPEN)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    assert guarded_http.send("GET", f"https://right.test:{port}/", OPEN).status == 200
    with pytest.raises(AddressUnreachable):
        guarded_http.send("GET", f"https://wrong.test:{port}/", OPEN)
