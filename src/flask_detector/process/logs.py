"""Log lines: for people on a terminal, as JSON elsewhere; one id leads from a request to its worker.

Nothing in them opens anything: of what is a key to something (a detection's id, a share link, an API key)
only the beginning is written, whatever part of the program or of a library writes it. File names and other
texts that users send are never logged.
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

# The id of the request that is being answered, or of the one that asked for the detection in hand.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# Facts of a line beside its message: log.info("…", extra=facts(route="/", status=200)).
_FACTS = "facts"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# The process that makes JSON of what goes past the loggers, and the pipe to it: "PID:INODE".
_FILTER_VARIABLE = "FLASK_DETECTOR_JSON_STDERR"
_STDERR = 2
_LAST_WORDS_SECONDS = 2.0


def facts(**named: object) -> dict[str, dict[str, object]]:
    """Return what `extra` of a log call takes, for facts that programs read; None is left out."""
    return {_FACTS: {name: value for name, value in named.items() if value is not None}}


def accepted_request_id(sent: str | None) -> str:
    """Return the id that a request brought, if it is a proper one, else a new one."""
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        return sent
    return os.urandom(8).hex()


@contextlib.contextmanager
def on_behalf_of(request: str | None) -> Iterator[None]:
    """Have the lines that are written within the block carry a request's id."""
    token = request_id.set(request)
    try:
        yield
    finally:
        request_id.reset(token)


def short(id: str) -> str:
    """Return as much of a detection's id as a log or a page of the operator may show."""
    return id[:8]


def say(line: str, *, to_people: str) -> None:
    """Tell whoever started the program what they wait for: plainly on a terminal, else as a log line."""
    handler = logging.getLogger().handlers[0]
    if isinstance(handler.formatter, _TextLines) and sys.stderr.isatty():
        sys.stderr.write(f"{to_people}\n")
        sys.stderr.flush()
    else:
        logging.getLogger(__name__).info("%s", line)


def set_up(form: str, part: str, stream: IO[str] | None = None) -> None:
    """Send all log lines of this process to stderr; as JSON, so do warnings, and errors that nobody caught.

    In JSON, what anything else in it or in its children writes to stderr becomes JSON, too.

    form: as the setting says it: "text", "json", or "auto"; what is no such word counts as the latter.
    part: which part of the program the process is: "serve", "web", "worker" or "fetch".
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
    """Tell whether the log lines of this process are JSON."""
    return any(isinstance(handler.formatter, _JsonLines) for handler in logging.getLogger().handlers)


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt) or error is None:
        return
    logging.getLogger(__name__).critical("nobody caught this", exc_info=(kind, error, traceback))


def _is_filtered() -> bool:
    """Tell whether this process or the one that started it has a filter for stderr already."""
    return os.environ.get(_FILTER_VARIABLE, "").partition(":")[2] == str(os.fstat(_STDERR).st_ino)


def _filter(part: str) -> None:
    """Start a process that makes JSON of what is written to stderr from now on, and end no sooner than it."""
    reading, writing = os.pipe()
    command = [sys.executable, "-I", "-S", json_stderr.__file__, part]
    process = subprocess.Popen(command, stdin=reading, stdout=subprocess.DEVNULL, start_new_session=True)
    os.close(reading)
    sys.stderr.flush()
    os.dup2(writing, _STDERR)
    os.close(writing)
    os.environ[_FILTER_VARIABLE] = f"{process.pid}:{os.fstat(_STDERR).st_ino}"
    process.returncode = 0  # it is waited for by its number, also by the program that this process becomes


def _finish() -> None:
    """Wait until the filter has written all: with a container's first process all others end at once."""
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
        """Return a line, and below it the traceback where there is one."""
        named = _facts_of(record)
        if (id := request_id.get()) is not None:
            named["request"] = id
        told = " ".join(f"{name}={value}" for name, value in named.items())
        line, _, traceback = super().format(record).partition("\nTraceback ")
        line = _on_one_line(without_secrets(line)) + (f" [{told}]" if told else "")
        return f"{line}\nTraceback {without_secrets(traceback)}" if traceback else line


def _facts_of(record: logging.LogRecord) -> dict[str, object]:
    named: dict[str, object] = getattr(record, _FACTS, {})
    return {name: without_secrets(v) if isinstance(v, str) else v for name, v in named.items()}


def _on_one_line(text: str) -> str:
    """Return a text whose control characters are written out: what users send must not forge a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
