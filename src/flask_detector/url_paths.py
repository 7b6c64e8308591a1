"""File paths in URLs, as people write them: percent-encoded or not."""

import re
from pathlib import Path
from urllib.parse import quote, unquote


def path_in_url(text: str) -> Path:
    """Return the path in a URL: as written if that exists, else decoded.

    For a path that does not exist yet, such as a server's socket, its parent folder decides.
    """
    written, decoded = Path(text), Path(unquote(text))
    is_literal = written.exists() or (written.parent.is_dir() and not decoded.parent.is_dir())
    return written if is_literal else decoded


def quoted_socket(url: str) -> str:
    """Return a Redis URL in which the path of a socket is percent-encoded."""
    parts = re.fullmatch(r"unix://([^/]*)(/.*)", url, re.DOTALL)
    if parts is None:
        return url
    user, written = parts.groups()
    path, mark, query = written.rpartition("?")
    # A folder may be named `what?`, or even `a?b=c`.
    if not re.match(r"\w+=", query) or ("/" in query and Path(written).parent.is_dir()):
        path, mark, query = written, "", ""
    return f"unix://{user}{quote(bytes(path_in_url(path)))}{mark}{query}"
