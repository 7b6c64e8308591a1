"""Converts lines of standard error to JSON unless they are: a separate process, for what others write there.

    python -I -S json_stderr.py PART < LINES

C libraries, Redis and a crashing interpreter bypass all loggers, and a thread of the crashing process could
not forward its last lines. Only the standard library is imported: 4 MB.
"""

import json
import re
import signal
import sys
from datetime import UTC, datetime

_LONGEST_LINE = 1 << 20

_SECRETS = [
    (re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24}\b"), r"\1…"),
    (re.compile(r"(/shared/)[A-Za-z0-9_-]{3,}"), r"\1…"),
    (re.compile(r"\b(fd_[0-9a-f]{4})[0-9a-f]*_[A-Za-z0-9_-]+"), r"\1…"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1…@"),
]


def without_secrets(text: str) -> str:
    """Return a text with ids, tokens, keys and passwords truncated."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def as_json(line: bytes, part: str) -> bytes | None:
    """Return a JSON object unchanged and other lines wrapped in one; None for an empty line."""
    if line.startswith(b"{") and _is_object(line):
        return line
    message = line.decode(errors="replace").rstrip()
    if not message:
        return None
    form = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": "warning",
        "part": part,
        "logger": "stderr",
        "message": without_secrets(message),
    }
    return json.dumps(form, ensure_ascii=False).encode() + b"\n"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def main() -> None:
    """Run until the pipe is closed, despite signals: processes that are asked to stop still log."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for line in iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE), b""):
        if (converted := as_json(line, sys.argv[1])) is not None:
            sys.stderr.buffer.write(converted)
            sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
