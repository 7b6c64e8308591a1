"""What to do about a Redis that does not answer, told by the words of the error."""

import re

import redis
from redis.sentinel import MasterNotFoundError, SentinelConnectionPool

_START = "Check that it is running and that REDIS_URL is right, or unset REDIS_URL to start one."
_SENTINELS = "No sentinel of REDIS_URL knows a primary of this name: check the name."

# Of the system, of OpenSSL, of Redis and of its client; the first that fits counts.
_KNOWN = [
    (
        r"CERTIFICATE_VERIFY_FAILED.*(mismatch|not valid for)",
        "Its certificate is for another name: use the name in the certificate in REDIS_URL.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED.*(expired|not yet valid)",
        "Its certificate has expired or is not valid yet: renew it, or set this machine's clock.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "Its certificate can't be verified: set DETECTOR_REDIS_CA to the CA's certificate.",
    ),
    (
        r"EOF occurred in violation|ALERT",
        "It closes the TLS connection: it may require a client certificate (ssl_certfile and ssl_keyfile in "
        "REDIS_URL, docs/redis.md).",
    ),
    (
        r"WRONG_VERSION_NUMBER|handshake operation timed out|record layer failure",
        "It doesn't seem to use TLS: start REDIS_URL with redis instead of rediss, or correct the port.",
    ),
    (
        r"\[(X509|PEM|SSL)\b|Error 2 connecting to [^/]",
        "A certificate file of REDIS_URL or DETECTOR_REDIS_CA is missing or invalid.",
    ),
    (
        r"reset by peer|closed by server|InvalidResponse|Protocol Error",
        "It doesn't speak Redis's protocol: for a Redis with TLS, start REDIS_URL with rediss instead of "
        "redis; else correct the port.",
    ),
    (r"Error -\d+ connecting", "Its host name is unknown: correct it in REDIS_URL."),
    (r"[Tt]imeout", "Its host does not respond: check the URL, the network and firewalls."),
    (r"DB index", "It has no database with that number: correct the last part of REDIS_URL."),
    (
        r"loading the dataset|BusyLoading",
        "It has just started and is still loading its data: try again soon.",
    ),
    (r"NOPERM|no permissions", "The user in REDIS_URL lacks permissions: allow all commands on all keys."),
]
_REFUSED = r"AuthenticationError|WRONGPASS|NOAUTH|invalid username-password|already authenticated"


def what_to_do(error: redis.RedisError, connection: redis.Redis) -> str:
    """Return a sentence that says what to do about an error of the first command on a connection."""
    if isinstance(error, MasterNotFoundError):
        return _about_sentinels(connection)
    if _is_refused(error):
        return "It rejects the user or password in REDIS_URL."
    return _known(error) or _START


def _about_sentinels(connection: redis.Redis) -> str:
    """Ask the sentinels one by one: the error that none knows a leader does not tell why."""
    pool = connection.connection_pool
    assert isinstance(pool, SentinelConnectionPool)  # noqa: S101  # nothing else raises that error
    troubles = []
    for sentinel in pool.sentinel_manager.sentinels:
        try:
            sentinel.ping()
        except redis.RedisError as error:
            troubles.append(error)
        else:
            return _SENTINELS
    if any(map(_is_refused, troubles)):
        return "The sentinels reject sentinel_username or sentinel_password in the query of REDIS_URL."
    known = [hint for hint in map(_known, troubles) if hint]
    what = known[0] if known else "Check that they are running and that the URL is right."
    return f"No sentinel of REDIS_URL can be reached. {what}"


def _is_refused(error: redis.RedisError) -> bool:
    return isinstance(error, redis.AuthenticationError) or re.search(_REFUSED, str(error)) is not None


def _known(error: redis.RedisError) -> str | None:
    said = f"{type(error).__name__}: {error} {error.__context__ or ''}"
    return next((hint for words, hint in _KNOWN if re.search(words, said)), None)
