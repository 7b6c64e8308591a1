"""What all errors have: a code, a message and a hint."""

import re
from typing import ClassVar


class DetectorError(Exception):
    """An unexpected error; see the log.

    The base class of all errors that are shown to users.
    """

    code: ClassVar[str] = "internal_error"
    default_hint: ClassVar[str] = ""

    def __init_subclass__(cls, *, code: str | None = None, hint: str | None = None) -> None:
        """code: by default the class's name in snake case. hint: of errors without their own."""
        super().__init_subclass__()
        cls.code = code or re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.default_hint = cls.default_hint if hint is None else hint

    def __init__(self, message: str, *, hint: str | None = None, retry_after: int | None = None) -> None:
        """retry_after: seconds after which the same request may succeed, if known."""
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
