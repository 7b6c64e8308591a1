"""Paths of this machine in addresses, as people write them: percent-encoded, or as they are."""

import re
from pathlib import Path
from urllib.parse import quote, unquote


def path_in_url(text: str) -> Path:
    """Return the path that stands in an address: as it is written where that exists, else decoded.

    What is still to be made, a folder or a server's socket, goes where its parent is.
    """
    written, decoded = Path(text), Path(unquote(text))
    is_literal = written.exists() or (written.parent.is_dir() and not decoded.parent.is_dir())
    return written if is_literal else decoded


def quoted_socket(url: str) -> str:
    """Return an address of Redis whose path, if it is that of a socket, is percent-encoded."""
    parts = re.fullmatch(r"unix://([^/]*)(/.*)", url, re.DOTALL)
    if parts is None:
        return url
    user, written = parts.groups()
    path, mark, query = written.rpartition("?")
    # A folder may be called `what?`, or even `a?b=c`.
    if not re.match(r"\w+=", query) or ("/" in query and Path(written).parent.is_dir()):
        path, mark, query = written, "", ""
    return f"unix://{user}{quote(bytes(path_in_url(path)))}{mark}{query}"
