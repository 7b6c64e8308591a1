"""Redis behind Sentinel: the address names sentinels, and they name the Redis that leads at the moment."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from redis.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection


class _Connection(SentinelManagedConnection):
    """A connection that is closed when a signal's exception interrupts it, as redis-py's others are.

    The answer that was waited for would otherwise be taken for that of the next command: a worker waits for
    work when SIGTERM comes, and a detection's time may end in the middle of a command.
    """

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Return the next answer."""
        return super().read_response(*args, **{"disconnect_on_error": True, **options})


class _SecureConnection(_Connection, SentinelManagedSSLConnection):
    pass


_SCHEMES = {
    "redis+sentinel": _Connection,
    "rediss+sentinel": _SecureConnection,  # the sentinels speak TLS as well
}
_PORT = 26379
_SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}
_TLS_OPTIONS = {"ssl_ca_certs", "ssl_cert_reqs", "ssl_check_hostname", "ssl_certfile", "ssl_keyfile"}


def is_sentinel(url: str) -> bool:
    """Tell whether the address names sentinels."""
    return urlsplit(url).scheme in _SCHEMES


def leader(url: str, **options: Any) -> redis.Redis:
    """Return a client of whichever Redis leads; nothing is sent yet.

    url: ``redis+sentinel://[user:password@]host[:port],host[:port],…/name[/database]``, the user and password
    being those of Redis itself. The query may have sentinel_username and sentinel_password, and with
    ``rediss+sentinel`` the options of TLS.
    options: of each connection.

    Raises ValueError with what is wrong.
    """
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    addresses = [_address(host) for host in hosts.split(",")]
    name, _, database = unquote(parts.path).strip("/").partition("/")
    if not name:
        raise ValueError("the sentinels must be followed by the name of the primary")
    if database and not database.isdecimal():
        raise ValueError(f"the database must be a number, not '{database}'")
    query = dict(parse_qsl(parts.query))
    connection_class = _SCHEMES[parts.scheme]
    is_tls = connection_class is _SecureConnection
    if unknown := query.keys() - _SENTINEL_OPTIONS.keys() - (_TLS_OPTIONS if is_tls else set()):
        raise ValueError(f"there is no option '{min(unknown)}'")
    tls: dict[str, Any] = {key: value for key, value in query.items() if key in _TLS_OPTIONS}
    if "ssl_check_hostname" in tls:
        tls["ssl_check_hostname"] = tls["ssl_check_hostname"].lower() not in {"0", "false", "no"}
    user, _, password = credentials.partition(":")
    own = {_SENTINEL_OPTIONS[key]: value for key, value in query.items() if key in _SENTINEL_OPTIONS}
    sentinel = Sentinel(
        addresses, sentinel_kwargs={**options, **({"ssl": True} if is_tls else {}), **tls, **own}
    )
    client: redis.Redis = sentinel.master_for(
        name,
        connection_class=connection_class,
        username=unquote(user) or None,
        password=unquote(password) or None,
        db=int(database or 0),
        **options,
        **tls,
    )
    return client


def _address(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")  # knows IPv6 addresses in brackets
    if not parts.hostname:
        raise ValueError("it contains no sentinel")
    return parts.hostname, parts.port or _PORT
