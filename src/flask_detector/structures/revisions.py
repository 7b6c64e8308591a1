"""Versions of annotations: of which one a write says that it replaces it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANY = "*"
"""Stands for whichever version there is."""


@dataclass(frozen=True)
class Revision:
    """A version of annotations. changed_at: ISO 8601, UTC; None, as changed_by, of one that nobody wrote."""

    version: str
    changed_at: str | None = None
    changed_by: str | None = None


def version_of(document: Mapping[str, Any]) -> str:
    """Return the version that a document is: the same again for the same content."""
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:32]
