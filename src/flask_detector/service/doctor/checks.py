"""Looks an installation over: what is there, what works, what contradicts itself, and what to do about it."""

import errno
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from importlib import metadata
from pathlib import Path

import redis

from flask_detector._version import __version__
from flask_detector.detectors import AUTO, MAIN_MODEL, load_detector, model_store
from flask_detector.detectors.zoo.download import DISK_FULL
from flask_detector.detectors.zoo.registry import Published
from flask_detector.errors import DetectorError
from flask_detector.service.doctor.finding import Finding, Findings, Level, ok
from flask_detector.service.doctor.redis_checks import redis_findings
from flask_detector.service.launch import check_port, is_served
from flask_detector.settings import Settings, unknown_variables
from flask_detector.storage import open_storage
from flask_detector.visualization.text_labels import WIDER_FONTS

_GIGABYTE = 1_000_000_000


def examine(settings: Settings) -> Findings:
    """Yield what is found, one after another; each look goes on where another one failed."""
    looks: list[tuple[str, Callable[[Settings], Findings]]] = [
        ("python", _python),
        ("engine", _engine),
        ("fonts", _fonts),
        ("data", _data),
        ("temporary files", _temporary),
        ("storage", _storage),
        ("models", _models),
        ("detection", _detection),
        ("redis", redis_findings),
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


def _python(settings: Settings) -> Findings:
    version = platform.python_version()
    yield ok("python", f"flask-detector {__version__}, Python {version}, {platform.platform(terse=True)}.")
    if not sys.maxsize > 2**32:
        yield Finding("python", Level.PROBLEM, "This Python has 32 bits.", "Install one with 64 bits.")


def _engine(settings: Settings) -> Findings:
    from flask_detector.detectors.openvino_runtime import cpu_has_bfloat16

    bfloat16 = cpu_has_bfloat16()
    how = "computes in bfloat16" if bfloat16 else "has no bfloat16: models compute in float32"
    yield ok("engine", f"OpenVINO {metadata.version('openvino')}; the CPU {how}.")
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
        beyond = f", other letters with {', '.join(wider)}" if wider else ", other letters as in English"
        yield ok("fonts", f"Labels are drawn with the font that comes with Pillow{beyond}.")
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


_DATA_HINT = "Set DETECTOR_DATA_DIR to a folder that this user may write to."
_FULL_HINT = "Free some of its disk, lower DETECTOR_RETENTION_HOURS, or set DETECTOR_DATA_DIR."
_DATA_HINTS = {
    errno.EROFS: "It is mounted read-only: mount it writable, or set DETECTOR_DATA_DIR to a volume.",
    errno.ENOTDIR: "A part of its path is a file: remove that, or set DETECTOR_DATA_DIR.",
    **dict.fromkeys(DISK_FULL, _FULL_HINT),
}


def _data(settings: Settings) -> Findings:
    folder = settings.data_dir
    probe = folder / ".doctor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        message = f"The data folder {folder} can't be written to: {error.strerror}."
        yield Finding("data", Level.PROBLEM, message, _DATA_HINTS.get(error.errno or 0, _DATA_HINT))
        # An empty file needs no room, and is one all the same.
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        return
    free = shutil.disk_usage(folder).free
    message = f"The data folder {folder} can be written to; {free / _GIGABYTE:.1f} GB are free."
    if free < 2 * _GIGABYTE:
        hint = "Weights and pictures need 2 GB; free some or set DETECTOR_DATA_DIR."
        yield Finding("data", Level.WARNING, message, hint)
    else:
        yield ok("data", message)


def _temporary(settings: Settings) -> Findings:
    wanted, used = os.environ.get("TMPDIR"), tempfile.gettempdir()
    if wanted and not Path(used).samefile(wanted if Path(wanted).exists() else "/"):
        message = f"TMPDIR is {wanted}, which can't be written to: {used} is used."
        yield Finding("temporary files", Level.WARNING, message, "Make that folder, or unset TMPDIR.")


def _storage(settings: Settings) -> Findings:
    open_storage(settings).check()
    yield ok("storage", "Pictures can be kept.")


def _models(settings: Settings) -> Findings:
    store = model_store(settings)
    installed = store.installed()
    yield ok("models", f"Installed: {', '.join(installed)}; in use by default: {store.default()}.")
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
            f"flask-detector models pull {settings.model}"
            if settings.model in {info.name for info in store.known()}
            else f"Set it to auto, or to one of: {', '.join(installed)}.",
        )
    if not any(store.info(name).has_masks for name in installed):
        yield Finding(
            "models",
            Level.WARNING,
            "No model that finds masks is installed.",
            f"flask-detector models pull {MAIN_MODEL}",
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
    yield ok("detection", f"{detector.name} looked at a picture in {time.perf_counter() - start:.2f} s.")


def _web(settings: Settings) -> Findings:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # not bound
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(f"{address}/healthz", timeout=5) as answer:
            ours = answer.read(16) == b"ok\n"
    except urllib.error.HTTPError as error:
        error.close()
        ours = False
    except HTTPException:
        ours = False
    except OSError:
        check_port(settings)
        yield ok("web", f"No web server runs on {address}; the port is free.")
        return
    if not ours:
        yield Finding("web", Level.PROBLEM, f"Another program answers on {address}.", "Stop it, or set PORT.")
    elif settings.redis_url is None and not is_served(settings):
        message = (
            f"The flask-detector that answers on {address} has another data folder than {settings.data_dir}."
        )
        yield Finding("web", Level.PROBLEM, message, "Stop it, or set PORT for a second one.")
    else:
        yield ok("web", f"The web server answers on {address}.")


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
    found = [Finding("settings", Level.WARNING, message, hint) for is_so, message, hint in worries if is_so]
    found += [
        Finding("settings", Level.WARNING, f"{name} is not a setting and has no effect.", hint)
        for name, hint in unknown_variables()
    ]
    yield from found or [ok("settings", "Nothing in them contradicts itself.")]


def _is_remote(settings: Settings) -> bool:
    return urllib.parse.urlsplit(settings.redis_url or "").hostname not in {
        None,
        "localhost",
        "127.0.0.1",
        "::1",
    }
