"""What to do about a Redis that does not answer, told by the words of the error."""

import re

import redis
from redis.sentinel import MasterNotFoundError, SentinelConnectionPool

_START = "Check that it runs and that REDIS_URL names it, or unset REDIS_URL to have one started."
_SENTINELS = "No sentinel of REDIS_URL knows a leader by this name: check the name."

# Of the system, of OpenSSL, of Redis and of its client; the first that fits counts.
_KNOWN = [
    (
        r"CERTIFICATE_VERIFY_FAILED.*(mismatch|not valid for)",
        "Its certificate is for another name: let REDIS_URL have the name that stands in the certificate.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED.*(expired|not yet valid)",
        "Its certificate is valid at another time: renew it, or set this machine's clock.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "Its certificate can't be verified: let DETECTOR_REDIS_CA name the authority's certificate.",
    ),
    (
        r"EOF occurred in violation|ALERT",
        "It ends the TLS connection: perhaps it asks for a client's certificate that it knows (ssl_certfile "
        "and ssl_keyfile in REDIS_URL, docs/redis.md).",
    ),
    (
        r"WRONG_VERSION_NUMBER|handshake operation timed out|record layer failure",
        "It seems to speak no TLS there: let REDIS_URL begin with redis instead of rediss, or correct the "
        "port.",
    ),
    (
        r"\[(X509|PEM|SSL)\b|Error 2 connecting to [^/]",
        "A certificate's file that REDIS_URL or DETECTOR_REDIS_CA names is not there, or not what it should "
        "be.",
    ),
    (
        r"reset by peer|closed by server|InvalidResponse|Protocol Error",
        "What listens there speaks another language: if it is a Redis with TLS, let REDIS_URL begin with "
        "rediss instead of redis; else correct the port.",
    ),
    (r"Error -\d+ connecting", "Its host has no address here: correct the name in REDIS_URL."),
    (r"[Tt]imeout", "Its host does not answer: check the address, the network and firewalls between."),
    (r"DB index", "It has no database of that number: correct the last part of REDIS_URL."),
    (r"loading the dataset|BusyLoading", "It has just started and still reads its data: try again soon."),
    (r"NOPERM|no permissions", "The user of REDIS_URL may not use it: allow all commands on all keys."),
]
_REFUSED = r"AuthenticationError|WRONGPASS|NOAUTH|invalid username-password|already authenticated"


def what_to_do(error: redis.RedisError, connection: redis.Redis) -> str:
    """Return a sentence that says what to do about an error of the first command on a connection."""
    if isinstance(error, MasterNotFoundError):
        return _about_sentinels(connection)
    if _is_refused(error):
        return "It refuses the user or password of REDIS_URL."
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
        return "The sentinels refuse sentinel_username or sentinel_password in the query of REDIS_URL."
    known = [hint for hint in map(_known, troubles) if hint]
    what = known[0] if known else "Check that they run and that it names them."
    return f"No sentinel of REDIS_URL can be reached. {what}"


def _is_refused(error: redis.RedisError) -> bool:
    return isinstance(error, redis.AuthenticationError) or re.search(_REFUSED, str(error)) is not None


def _known(error: redis.RedisError) -> str | None:
    said = f"{type(error).__name__}: {error} {error.__context__ or ''}"
    return next((hint for words, hint in _KNOWN if re.search(words, said)), None)
