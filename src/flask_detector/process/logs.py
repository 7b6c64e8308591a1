"""Logging: text on a terminal, JSON elsewhere; one request id is logged by the web process and the worker.

Logs contain no secrets: ids, share links and API keys are truncated, whichever library logs them. File names
and other texts from users are never logged.
"""

import atexit
import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import IO

from flask_detector.process import json_stderr
from flask_detector.process.json_stderr import without_secrets

# The id of the current request, or of the one that created the current detection.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# Structured fields of a log line: log.info("…", extra=facts(route="/", status=200)).
_FACTS = "facts"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# The process that converts what bypasses the loggers to JSON, and the pipe to it: "PID:INODE".
_FILTER_VARIABLE = "FLASK_DETECTOR_JSON_STDERR"
_STDERR = 2
_LAST_WORDS_SECONDS = 2.0


def facts(**named: object) -> dict[str, dict[str, object]]:
    """Return structured fields for the `extra` of a log call; None is left out."""
    return {_FACTS: {name: value for name, value in named.items() if value is not None}}


def accepted_request_id(sent: str | None) -> str:
    """Return the request id that a client sent if it is well-formed, else a new one."""
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        return sent
    return os.urandom(8).hex()


@contextlib.contextmanager
def on_behalf_of(request: str | None) -> Iterator[None]:
    """Add a request id to the lines that are logged within the block."""
    token = request_id.set(request)
    try:
        yield
    finally:
        request_id.reset(token)


def short(id: str) -> str:
    """Return the part of a detection's id that logs and the admin page may show."""
    return id[:8]


def announce(line: str, *, on_terminal: str) -> None:
    """Print a text for the user on a terminal; elsewhere, log a line."""
    handler = logging.getLogger().handlers[0]
    if isinstance(handler.formatter, _TextLines) and sys.stderr.isatty():
        sys.stderr.write(f"{on_terminal}\n")
        sys.stderr.flush()
    else:
        logging.getLogger(__name__).info("%s", line)


def set_up(form: str, part: str, stream: IO[str] | None = None) -> None:
    """Log to stderr; with JSON, also warnings, uncaught exceptions, and what children and C code write there.

    form: "text" or "json"; anything else is "auto".
    part: what the process is, such as "serve", "web", "worker" or "fetch".
    """
    as_json = form == "json" or (form != "text" and not (stream or sys.stderr).isatty())
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines(part) if as_json else _TextLines(part))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    if as_json and stream is None:
        if not _is_filtered():
            _filter(part)
        atexit.register(_finish)
        logging.captureWarnings(capture=True)
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda thrown: _log_uncaught(
            thrown.exc_type, thrown.exc_value, thrown.exc_traceback
        )


def is_json() -> bool:
    """Return whether this process logs JSON."""
    return any(isinstance(handler.formatter, _JsonLines) for handler in logging.getLogger().handlers)


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt) or error is None:
        return
    logging.getLogger(__name__).critical("uncaught exception", exc_info=(kind, error, traceback))


def _is_filtered() -> bool:
    """Return whether this process or a parent has started the filter for stderr."""
    return os.environ.get(_FILTER_VARIABLE, "").partition(":")[2] == str(os.fstat(_STDERR).st_ino)


def _filter(part: str) -> None:
    """Start the process that converts stderr to JSON."""
    reading, writing = os.pipe()
    command = [sys.executable, "-I", "-S", json_stderr.__file__, part]
    process = subprocess.Popen(command, stdin=reading, stdout=subprocess.DEVNULL, start_new_session=True)
    os.close(reading)
    sys.stderr.flush()
    os.dup2(writing, _STDERR)
    os.close(writing)
    os.environ[_FILTER_VARIABLE] = f"{process.pid}:{os.fstat(_STDERR).st_ino}"
    process.returncode = 0  # waited for by pid, also by the program that this process becomes by exec


def _finish() -> None:
    """Wait until the filter is done: when a container's first process exits, all others are killed."""
    number = int(os.environ.get(_FILTER_VARIABLE, "0").partition(":")[0])
    with contextlib.suppress(ChildProcessError):  # another process is its parent
        if number == 0 or os.waitpid(number, os.WNOHANG) != (0, 0):
            return
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while os.waitpid(number, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.005)


class _JsonLines(logging.Formatter):
    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, a JSON object."""
        form: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "process": record.process,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if (id := request_id.get()) is not None:
            form["request"] = id
        form |= _facts_of(record)
        if record.exc_info:
            form["traceback"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(form, ensure_ascii=False)


class _TextLines(logging.Formatter):
    def __init__(self, part: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {part}: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, followed by the traceback if there is one."""
        named = _facts_of(record)
        if (id := request_id.get()) is not None:
            named["request"] = id
        fields = " ".join(f"{name}={value}" for name, value in named.items())
        line, _, traceback = super().format(record).partition("\nTraceback ")
        line = _on_one_line(without_secrets(line)) + (f" [{fields}]" if fields else "")
        return f"{line}\nTraceback {without_secrets(traceback)}" if traceback else line


def _facts_of(record: logging.LogRecord) -> dict[str, object]:
    named: dict[str, object] = getattr(record, _FACTS, {})
    return {name: without_secrets(v) if isinstance(v, str) else v for name, v in named.items()}


def _on_one_line(text: str) -> str:
    """Return a text with control characters escaped, so that users' input can't forge log lines."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
