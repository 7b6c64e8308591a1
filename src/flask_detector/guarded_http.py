"""Requests to URLs from users: pictures to fetch, webhooks to send. Protects against SSRF.

Such a URL may point into this machine's network. So the host name is resolved once, all its IP addresses are
checked, and the connection is made to an address that was checked; redirects are followed only on request,
with the same checks; time and bytes are bounded. Proxies of the environment are not used: they would resolve
the name again.
"""

import http.client
import ipaddress
import os
import socket
import ssl
import string
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from flask_detector._version import __version__
from flask_detector.errors import AddressRefused, AddressUnreachable

_LONGEST_URL = 2048
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = {301, 302, 303, 307, 308}

# Leaves time for the next IP address if one does not respond.
_CONNECT_SECONDS = 5.0

# A name server that doesn't respond blocks a thread until the resolver's timeout. There are more threads than
# webhooks on their way, so that such names delay no other receiver.
_LOOKUPS_AT_ONCE = threading.BoundedSemaphore(64)

# Networks whose addresses embed an IPv4 address in their last 32 bits, for translation (NAT64).
_TRANSLATED = [ipaddress.ip_network(text) for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")]

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Rules:
    """Limits of a request.

    allow_private: whether non-public IP addresses are allowed: of this machine, its network, its cloud.
    seconds: for the whole request: name resolution, connecting, all redirects, reading the body.
    max_bytes: of the response's body; 0 to ignore it.
    max_redirects: how many are followed.
    """

    allow_private: bool
    seconds: float
    max_bytes: int
    max_redirects: int = 0


@dataclass(frozen=True)
class Answer:
    """A response; `url` is the final one, and `is_whole` is false if the body exceeds the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    is_whole: bool


def send(
    method: str,
    url: str,
    rules: Rules,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send a request and return the response, whatever its status.

    Raises AddressRefused for a URL that the rules forbid, AddressUnreachable if there is no response in time.
    """
    deadline = time.monotonic() + rules.seconds
    for _ in range(rules.max_redirects + 1):
        address = parse(url)
        own = {**_own_headers(address), **(headers or {})}
        try:
            answer = _send_once(method, address, rules, own, body, deadline)
        except TimeoutError as error:
            raise AddressUnreachable(
                f"The server did not respond completely within {rules.seconds:.3g} seconds."
            ) from error
        target = answer.headers.get("location")
        if answer.status not in _REDIRECTS or target is None or rules.max_redirects == 0:
            return answer
        # Non-ASCII bytes are escaped, as browsers do.
        url = urljoin(url, quote(target.encode("latin-1"), safe=string.punctuation))
    raise AddressUnreachable(f"The URL redirects more than {rules.max_redirects} times.")


def parse(url: str) -> SplitResult:
    """Return the parts of a URL; raises AddressRefused for one that is not of a web server."""
    try:
        address = urlsplit(url)
        port = address.port
        (address.hostname or "").encode("idna")
    except ValueError:
        address, port = urlsplit(""), None
    is_printable = url.isprintable()
    if address.scheme not in _PORTS or not address.hostname or len(url) > _LONGEST_URL or not is_printable:
        raise AddressRefused(
            "This is not the URL of a web server.", hint="It must begin with https:// or http://."
        )
    if address.username is not None or address.password is not None or port == 0:
        raise AddressRefused("URLs with a user name, a password or port 0 are not allowed.")
    return address


def check(url: str, *, allow_private: bool) -> None:
    """Raise AddressRefused for a URL that is known to be forbidden without name resolution.

    These are private IP addresses in any notation; host names are checked when the request is sent.
    """
    address = parse(url)
    with suppress(OSError, UnicodeError):  # a host name
        found = socket.getaddrinfo(
            address.hostname, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
        _allowed(found, allow_private=allow_private)


def is_public(address: IpAddress) -> bool:
    """Return whether an IP address, and the IPv4 address that it may embed, is public."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner is None and any(address in network for network in _TRANSLATED):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def resolve(host: str, port: int, *, allow_private: bool, seconds: float) -> list[IpAddress]:
    """Return the IP addresses of a host; raises AddressRefused if one of them is forbidden.

    Raises AddressUnreachable for an unknown name, TimeoutError if that takes too long.
    """
    try:
        found = _looked_up(host, port, seconds)
    except TimeoutError:
        raise
    except (OSError, UnicodeError) as error:
        raise AddressUnreachable("The host name in the URL is unknown.") from error
    return _allowed(found, allow_private=allow_private)


def _allowed(found: list[Any], *, allow_private: bool) -> list[IpAddress]:
    """Return the IP addresses of a resolver's answer; raises AddressRefused if one of them is forbidden."""
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if address.is_multicast or address.is_unspecified or not (allow_private or is_public(address)):
            raise AddressRefused(
                "The URL points into a private network.",
                hint="Use a public one, or set DETECTOR_ALLOW_PRIVATE_ADDRESSES.",
            )
    return addresses


def _looked_up(host: str, port: int, seconds: float) -> list[Any]:
    """Return the answer of the system's resolver, which has no timeout of its own."""
    if not _LOOKUPS_AT_ONCE.acquire(timeout=max(seconds, 0)):
        raise TimeoutError("other names are still being looked up")
    found: Future[list[Any]] = Future()

    def look() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except BaseException as error:  # raised by `result`
            found.set_exception(error)
        finally:
            _LOOKUPS_AT_ONCE.release()

    threading.Thread(target=look, name="lookup", daemon=True).start()
    return found.result(max(seconds, 0))


def _send_once(
    method: str,
    address: SplitResult,
    rules: Rules,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
) -> Answer:
    host, port = str(address.hostname), address.port or _PORTS[address.scheme]
    addresses = resolve(host, port, allow_private=rules.allow_private, seconds=deadline - time.monotonic())
    path = quote(address.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = f"?{quote(address.query, safe='/?%:@!$&()*+,;=~-._')}" if address.query else ""
    connection = http.client.HTTPConnection(host, port)
    try:
        with _connected(addresses, port, deadline, host if address.scheme == "https" else None) as channel:
            connection.sock = channel
            connection.request(method, path + query, body, dict(headers))
            response = connection.getresponse()
            data = response.read(rules.max_bytes + 1) if rules.max_bytes else b""
            found = {name.lower(): value for name, value in response.getheaders()}
    except TimeoutError:
        raise
    except (OSError, ssl.SSLError, http.client.HTTPException, ValueError) as error:
        raise AddressUnreachable("The server of the URL did not respond properly.") from error
    finally:
        connection.close()
    is_whole = len(data) <= rules.max_bytes
    return Answer(response.status, found, data[: rules.max_bytes], address.geturl(), is_whole)


@contextmanager
def _connected(
    addresses: list[IpAddress], port: int, deadline: float, tls_name: str | None
) -> Iterator[socket.socket]:
    """Yield a connection to the first IP address that accepts one; raises TimeoutError at the deadline."""
    channel = _first_that_answers(addresses, port, deadline)
    channel.settimeout(None)
    if tls_name is not None:
        context = _tls(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        channel = context.wrap_socket(channel, server_hostname=tls_name, do_handshake_on_connect=False)
    # A server that sends single bytes slowly would never exceed the socket's timeout.
    is_over = threading.Event()
    clock = threading.Timer(max(deadline - time.monotonic(), 0), _cut, [channel, is_over])
    clock.daemon = True
    clock.start()
    try:
        if isinstance(channel, ssl.SSLSocket):
            channel.do_handshake()
        yield channel
    except Exception as error:
        if is_over.is_set():
            raise TimeoutError("the request took too long") from error
        raise
    finally:
        clock.cancel()
        channel.close()
    if is_over.is_set():  # a truncated body looks like a complete one
        raise TimeoutError("the request took too long")


@lru_cache(maxsize=1)
def _tls(*authorities: str | None) -> ssl.SSLContext:
    """Return the shared TLS context: loading the CA certificates takes 50 ms and a megabyte."""
    return ssl.create_default_context()


def _first_that_answers(addresses: list[IpAddress], port: int, deadline: float) -> socket.socket:
    problem: OSError | None = None
    for address in addresses[:4]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        try:
            return socket.create_connection((str(address), port), timeout=min(left, _CONNECT_SECONDS))
        except OSError as error:
            problem = error
    if isinstance(problem, TimeoutError) and time.monotonic() < deadline:
        raise OSError("no address takes a connection") from problem
    raise problem or OSError("there is no address")


def _cut(channel: socket.socket, is_over: threading.Event) -> None:
    is_over.set()
    try:
        socket.socket.shutdown(channel, socket.SHUT_RDWR)  # not the TLS layer, which another thread is using
    except OSError:  # already closed
        return


def _own_headers(address: SplitResult) -> dict[str, str]:
    host = address.netloc.rpartition("@")[2]
    return {
        "Host": host.encode("idna").decode() if not host.isascii() else host,
        "User-Agent": f"flask-detector/{__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
