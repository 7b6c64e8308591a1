"""Log lines: for people on a terminal, as JSON elsewhere; one id leads from a request to its worker.

Nothing in them opens anything: of what is a key to something (a detection's id, a share link, an API key)
only the beginning is written, whatever part of the program or of a library writes it. File names and other
texts that users send are never logged.
"""

import json
import logging
import os
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO

# The id of the request that is being answered, or of the one that asked for the detection in hand.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# Facts of a line beside its message: log.info("…", extra=facts(route="/", status=200)).
_FACTS = "facts"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

_SECRETS = [
    (re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24}\b"), r"\1…"),
    (re.compile(r"(/shared/)[A-Za-z0-9_-]{3,}"), r"\1…"),
    (re.compile(r"\b(fd_[0-9a-f]{4})[0-9a-f]*_[A-Za-z0-9_-]+"), r"\1…"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1…@"),
]


def facts(**named: object) -> dict[str, dict[str, object]]:
    """Return what `extra` of a log call takes, for facts that programs read; None is left out."""
    return {_FACTS: {name: value for name, value in named.items() if value is not None}}


def accepted_request_id(sent: str | None) -> str:
    """Return the id that a request brought, if it is a proper one, else a new one."""
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        return sent
    return os.urandom(8).hex()


def short(id: str) -> str:
    """Return as much of a detection's id as a log or a page of the operator may show."""
    return id[:8]


def without_secrets(text: str) -> str:
    """Return a text with what opens something cut to its beginning."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def say(line: str, *, to_people: str) -> None:
    """Tell whoever started the program what they wait for: plainly on a terminal, else as a log line."""
    handler = logging.getLogger().handlers[0]
    if isinstance(handler.formatter, _TextLines) and sys.stderr.isatty():
        sys.stderr.write(f"{to_people}\n")
        sys.stderr.flush()
    else:
        logging.getLogger(__name__).info("%s", line)


def set_up(form: str, part: str, stream: IO[str] | None = None) -> None:
    """Send all log lines of this process to stderr.

    form: as the setting says it: "text", "json", or "auto".
    part: which part of the program the process is: "serve", "web", "worker" or "fetch".
    """
    stream = stream or sys.stderr
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines(part) if as_json else _TextLines(part))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


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
