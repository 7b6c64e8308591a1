"""Whether settings contradict each other or leave the installation open."""

from urllib.parse import urlsplit

from flask_detector.service.doctor.finding import Findings, ok, warning
from flask_detector.settings import Settings, unknown_variables


def check(settings: Settings) -> Findings:
    """Report unsafe combinations, and variables that look like settings but are not."""
    is_public = not settings.is_local
    warnings = [
        (
            is_public and not settings.require_keys,
            "Anyone who can reach this server can use its API.",
            "Set DETECTOR_REQUIRE_KEYS, and put a password-protected reverse proxy in front of the pages.",
        ),
        (
            is_public and settings.trusted_hosts is None,
            "Requests for any host name are accepted.",
            "Set DETECTOR_TRUSTED_HOSTS to the names of this site.",
        ),
        (
            settings.metrics == "open" and is_public,
            "Anyone can read /metrics.",
            "Set DETECTOR_METRICS to admin.",
        ),
        (
            (settings.secret_key is not None and len(settings.secret_key.get_secret_value()) < 16)
            or any(len(key) < 16 for key in settings.old_secret_keys),
            "SECRET_KEY is short, or one of its fallbacks: cookies could be forged.",
            "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        ),
        (
            settings.offline and settings.mirror_url is not None,
            "DETECTOR_MIRROR_URL is set, but DETECTOR_OFFLINE keeps weights from being fetched.",
            "Unset one of them.",
        ),
        (
            settings.storage_url is not None and settings.secret_key is None,
            "Pictures are shared between machines, but each has a SECRET_KEY of its own.",
            "Give all web processes the same SECRET_KEY.",
        ),
        (
            settings.redis_url is not None
            and settings.redis_url.startswith("redis://")
            and _is_remote(settings),
            "Redis is reached over a network without TLS.",
            "Use rediss://, or a network that nobody else is on.",
        ),
    ]
    found = [warning(message, hint) for applies, message, hint in warnings if applies]
    found += [
        warning(f"{name} is not a setting and has no effect.", hint) for name, hint in unknown_variables()
    ]
    yield from found or [ok("No contradictory or unknown settings.")]


def _is_remote(settings: Settings) -> bool:
    return urlsplit(settings.redis_url or "").hostname not in {None, "localhost", "127.0.0.1", "::1"}
