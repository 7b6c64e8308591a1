"""Looks an installation over: what is there, what works, what contradicts itself, and what to do about it."""

import hashlib
import platform
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

import redis

from flask_detector import __version__
from flask_detector.broker import check, connect
from flask_detector.detectors import AUTO, load_detector, model_store
from flask_detector.detectors.models import Published
from flask_detector.errors import BrokerUnavailable, DetectorError
from flask_detector.jobs import Jobs
from flask_detector.local_redis import LocalRedis, find_server
from flask_detector.serve import check_port
from flask_detector.settings import Settings, unknown_variables
from flask_detector.storage import open_storage
from flask_detector.tags import WIDER_FONTS

_GIGABYTE = 1_000_000_000
_OLDEST_REDIS = (6, 2)
_MOST_CLOCK_SECONDS = 2.0


class Level(StrEnum):
    """How a finding is: as it should be, worth a thought, or in the way."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `hint` says what to do where it is not as it should be."""

    what: str
    level: Level
    message: str
    hint: str = ""


Findings = Iterator[Finding]


def examine(settings: Settings) -> Findings:
    """Yield what is found, one after another; each look goes on where another one failed."""
    looks: list[tuple[str, Callable[[Settings], Findings]]] = [
        ("python", _python),
        ("engine", _engine),
        ("fonts", _fonts),
        ("data", _data),
        ("storage", _storage),
        ("models", _models),
        ("detection", _detection),
        ("redis", _redis),
        ("web", _web),
        ("settings", _settings),
    ]
    for what, look in looks:
        try:
            yield from look(settings)
        except DetectorError as error:
            yield Finding(what, Level.PROBLEM, error.message, error.hint)
        except (OSError, ImportError, redis.RedisError) as error:
            yield Finding(what, Level.PROBLEM, f"It could not be looked at: {error}.", _HINTS.get(what, ""))


_HINTS = {
    "engine": "Install flask-detector anew: 'pip install --force-reinstall flask-detector'.",
    "redis": "Look at Redis's own log; docs/redis.md says what it needs.",
}


def _ok(what: str, message: str) -> Finding:
    return Finding(what, Level.OK, message)


def _python(settings: Settings) -> Findings:
    version = platform.python_version()
    yield _ok("python", f"flask-detector {__version__}, Python {version}, {platform.platform(terse=True)}.")
    if not sys.maxsize > 2**32:
        yield Finding("python", Level.PROBLEM, "This Python has 32 bits.", "Install one with 64 bits.")


def _engine(settings: Settings) -> Findings:
    import openvino

    from flask_detector.detectors.runtime import cpu_has_bfloat16

    bfloat16 = cpu_has_bfloat16()
    how = "computes in bfloat16" if bfloat16 else "has no bfloat16: models compute in float32"
    yield _ok("engine", f"OpenVINO {openvino.__version__}; the CPU {how}.")
    if settings.precision == "bfloat16" and not bfloat16:
        yield Finding(
            "engine",
            Level.WARNING,
            "DETECTOR_PRECISION is bfloat16, which this CPU would only emulate, slowly.",
            "Set it to auto.",
        )


def _fonts(settings: Settings) -> Findings:
    from PIL import features

    if features.check("freetype2"):
        wider = [name for name in WIDER_FONTS if _is_there(name)]
        beyond = f"; other scripts with {wider[0]}" if wider else "; other scripts lose their accents"
        yield _ok("fonts", f"Labels are drawn with the font that comes with Pillow{beyond}.")
    else:
        yield Finding(
            "fonts", Level.WARNING, "Pillow has no FreeType: labels are drawn coarsely.", "Install its wheel."
        )


def _is_there(font: str) -> bool:
    from PIL import ImageFont

    try:
        ImageFont.truetype(font, 12)
    except OSError:
        return False
    return True


def _data(settings: Settings) -> Findings:
    folder = settings.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".doctor"
    try:
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        yield Finding(
            "data",
            Level.PROBLEM,
            f"The data folder {folder} can't be written to: {error.strerror}.",
            "Let this user own it, or set DETECTOR_DATA_DIR.",
        )
        return
    free = shutil.disk_usage(folder).free
    message = f"The data folder {folder} can be written to; {free / _GIGABYTE:.1f} GB are free."
    if free < 2 * _GIGABYTE:
        hint = "Weights and pictures need 2 GB; free some or set DETECTOR_DATA_DIR."
        yield Finding("data", Level.WARNING, message, hint)
    else:
        yield _ok("data", message)


def _storage(settings: Settings) -> Findings:
    open_storage(settings).check()
    yield _ok("storage", "Pictures can be kept.")


def _models(settings: Settings) -> Findings:
    store = model_store(settings)
    installed = store.installed()
    yield _ok("models", f"Installed: {', '.join(installed)}; in use by default: {store.default()}.")
    for name in installed:
        source = store.info(name).source
        path = store.path(name)
        if isinstance(source, Published) and not _sha256(path).startswith(source.sha256):
            yield Finding(
                "models",
                Level.PROBLEM,
                f"The weights of {name} are not those that were published.",
                f"flask-detector models remove {name}; flask-detector models pull {name}",
            )
    if settings.model not in {AUTO, *installed}:
        yield Finding(
            "models",
            Level.PROBLEM,
            f"DETECTOR_MODEL is {settings.model}, which is not installed.",
            f"flask-detector models pull {settings.model}",
        )
    if not any(store.info(name).has_masks for name in installed):
        yield Finding(
            "models",
            Level.WARNING,
            "No model that finds masks is installed.",
            "flask-detector models pull mask-rcnn-r50-fpn",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _detection(settings: Settings) -> Findings:
    import numpy as np

    picture = np.full((240, 320, 3), 128, np.uint8)
    detector = load_detector(AUTO, settings=settings)
    start = time.perf_counter()
    detector.detect(picture)
    yield _ok("detection", f"{detector.name} looked at a picture in {time.perf_counter() - start:.2f} s.")


def _redis(settings: Settings) -> Findings:
    url = settings.redis_url
    if url is None:
        program = find_server()
        local = LocalRedis(settings.data_dir / "redis")
        try:
            with connect(local.url) as connection:
                check(connection)
                yield from _running_redis(settings, connection)
        except BrokerUnavailable:
            yield _ok("redis", f"None runs now; 'flask-detector serve' starts {program}.")
        finally:
            local.remove_socket_folder()
        return
    with connect(settings.required_redis_url) as connection:
        check(connection)
        yield from _running_redis(settings, connection)


def _running_redis(settings: Settings, connection: redis.Redis) -> Findings:
    facts = cast(dict[str, str | int], connection.info())
    version = str(facts["redis_version"])
    yield _ok("redis", f"Redis {version} answers.")
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_REDIS:
        yield Finding("redis", Level.PROBLEM, f"Redis {version} is too old.", "Install 6.2 or newer.")
    if not facts.get("aof_enabled"):
        yield Finding(
            "redis",
            Level.WARNING,
            "Redis does not write each change to disk: what waits is lost when it stops.",
            "Set 'appendonly yes' in its configuration.",
        )
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield Finding(
            "redis",
            Level.PROBLEM,
            f"Redis may throw records away when its memory is full ({policy}).",
            "Set 'maxmemory-policy noeviction' in its configuration.",
        )
    seconds, microseconds = connection.time()
    ahead = time.time() - (seconds + microseconds / 1e6)
    if abs(ahead) > _MOST_CLOCK_SECONDS:
        yield Finding(
            "redis",
            Level.WARNING,
            f"The clocks of this machine and of Redis's are {abs(ahead):.0f} s apart.",
            "Let both follow a time server; workers seem dead to each other otherwise.",
        )
    workers = Jobs(connection, settings).workers()
    if any(worker.model for worker in workers):
        yield _ok("workers", f"{len(workers)} at work or ready.")
    else:
        yield Finding(
            "workers",
            Level.WARNING,
            "No worker with a model was heard of in the last ten seconds.",
            "Start one: 'flask-detector serve', or 'flask-detector worker' beside a web process.",
        )


def _web(settings: Settings) -> Findings:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # not bound
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:  # noqa: S310  # our own address
            ours = answer.read(16) == b"ok\n"
    except urllib.error.HTTPError:
        ours = False
    except OSError:
        check_port(settings)
        yield _ok("web", f"No web server runs on {address}; the port is free.")
        return
    if ours:
        yield _ok("web", f"The web server answers on {address}.")
    else:
        yield Finding("web", Level.PROBLEM, f"Another program answers on {address}.", "Stop it, or set PORT.")


def _settings(settings: Settings) -> Findings:
    worries = [
        (
            not settings.is_local and not settings.require_keys,
            "Whoever reaches this server may use its API.",
            "Set DETECTOR_REQUIRE_KEYS, and put a proxy that asks for a password before the pages.",
        ),
        (
            not settings.is_local and settings.trusted_hosts is None,
            "Requests for any host name are answered.",
            "Set DETECTOR_TRUSTED_HOSTS to the names of this site.",
        ),
        (
            settings.metrics == "open" and not settings.is_local,
            "Anybody may read /metrics.",
            "Set DETECTOR_METRICS to admin.",
        ),
        (
            settings.secret_key is not None and len(settings.secret_key.get_secret_value()) < 16,
            "SECRET_KEY is short: cookies could be forged.",
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
    found = [Finding("settings", Level.WARNING, message, hint) for is_so, message, hint in worries if is_so]
    found += [
        Finding("settings", Level.WARNING, f"{name} is no setting and does nothing.", hint)
        for name, hint in unknown_variables()
    ]
    yield from found or [_ok("settings", "Nothing in them contradicts itself.")]


def _is_remote(settings: Settings) -> bool:
    return urllib.parse.urlsplit(settings.redis_url or "").hostname not in {
        None,
        "localhost",
        "127.0.0.1",
        "::1",
    }
