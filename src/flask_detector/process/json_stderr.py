"""Makes JSON of the lines of standard error that are none: a process of its own for what others write there.

    python -I -S json_stderr.py PART < LINES

Libraries in C, Redis, an interpreter that dies write to standard error past all loggers. A thread of the
process that they are in could not tell its last words. This one knows the standard library alone: 4 MB.
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
    """Return a text with what opens something cut to its beginning."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def as_json(line: bytes, part: str) -> bytes | None:
    """Return the line as it is if it is a JSON object, else in one; None for an empty one."""
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
    """Go on until nobody can write any more: whoever is asked to stop has something to say, too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for line in iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE), b""):
        if (told := as_json(line, sys.argv[1])) is not None:
            sys.stderr.buffer.write(told)
            sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
