"""JSON of strangers: bounded, and value by value where it may be larger than memory.

The standard library's decoder reads each value. A reader of events (ijson) takes five times as long, and a
dependency more.
"""

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any, Final

from flask_detector.datasets.remarks import Unusable

_CHUNK: Final = 1 << 20
# Of one value. Values take up to 72 bytes of memory each, and each has one of these signs at its end.
_LONGEST: Final = 1 << 26
_MOST_VALUES: Final = 2_000_000
_SIGNS: Final = "[{,"
_BLANKS: Final = " \t\n\r"


def members(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield the members of a JSON object (key, value), or of a list ("", value); one at a time is in memory.

    The values of a list that is a member of an object are yielded one by one, too.

    Raises Unusable where it is no JSON, or one value is too large.
    """
    text = _Text(file)
    try:
        if text.take("["):
            yield from (("", value) for value in _list(text))
        else:
            text.expect("{")
            yield from _object(text)
        if text.peek():
            raise ValueError("something follows the end")
    except Unusable:
        raise
    except UnicodeDecodeError as error:
        raise Unusable(f"is not text in UTF-8 after line {text.line}") from error
    except RecursionError as error:
        raise Unusable(f"is nested too deeply at line {text.line}") from error
    except ValueError as error:
        raise Unusable(f"is not JSON, or is cut short, at line {text.line}") from error


def _object(text: "_Text") -> Iterator[tuple[str, Any]]:
    first = True
    while not text.take("}"):
        if not first:
            text.expect(",")
        first = False
        key = text.value()
        if not isinstance(key, str):
            raise ValueError("a key must be a text")
        text.expect(":")
        if text.take("["):
            yield from ((key, value) for value in _list(text))
        else:
            yield key, text.value()


def _list(text: "_Text") -> Iterator[Any]:
    first = True
    while not text.take("]"):
        if not first:
            text.expect(",")
        first = False
        yield text.value()


class _Text:
    """The part of a text that has been read and not used."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._head = file, file.read(_CHUNK)
        is_utf16 = self._head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        self._decode = codecs.getincrementaldecoder("utf-16" if is_utf16 else "utf-8-sig")().decode
        self._buffer = ""
        self._at = self._lines = 0
        self._decoder = json.JSONDecoder()

    @property
    def line(self) -> int:
        """The number of the line that has been come to, from 1 on."""
        return self._lines + self._buffer.count("\n", 0, self._at) + 1

    def peek(self) -> str:
        """Return the next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._buffer):
                character = self._buffer[self._at]
                if character not in _BLANKS:
                    return character
                self._at += 1
            if not self._read_on(_CHUNK):
                return ""

    def take(self, character: str) -> bool:
        """Go on behind a character, if it is the next one."""
        found = self.peek() == character
        self._at += found
        return found

    def expect(self, character: str) -> None:
        """Go on behind a character; raises ValueError where another one is next."""
        if not self.take(character):
            raise ValueError(f"{character!r} is missing")

    def value(self) -> Any:
        """Return the next value; raises ValueError."""
        self.peek()
        while True:
            self._check_size()
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if not self._read_on(len(self._buffer) - self._at):
                    raise ValueError(error.msg) from error
                continue
            # A number may go on in what has not been read.
            if end == len(self._buffer) and self._read_on(_CHUNK):
                continue
            self._at = end
            return value

    def _check_size(self) -> None:
        length = len(self._buffer) - self._at
        if length <= 2 * _CHUNK:
            return
        values = sum(self._buffer.count(sign, self._at) for sign in _SIGNS)
        if length > _LONGEST or values > _MOST_VALUES:
            raise Unusable("has an entry that is too large")

    def _read_on(self, size: int) -> bool:
        """Read at least so many bytes more; return whether anything came."""
        data, self._head = self._head or self._file.read(max(size, _CHUNK)), b""
        more = self._decode(data, final=not data)
        self._lines = self.line - 1
        self._buffer, self._at = self._buffer[self._at :] + more, 0
        return bool(data)
