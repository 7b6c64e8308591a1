"""XML of strangers: element by element, and without a document type, whose entities could grow for ever."""

from collections.abc import Iterator
from typing import IO, Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from flask_detector.datasets.remarks import Unusable

_CHUNK: Final = 1 << 16
# Of one child of the root; a picture's objects.
_LONGEST: Final = 1 << 26
_MOST_ELEMENTS: Final = 200_000


def children(file: IO[bytes]) -> Iterator[Element]:
    """Yield the children of the root, each when it is whole; one at a time is in memory.

    Each element has its line as the attribute `line`.

    Raises Unusable where it is no XML, has a document type, or one child is too large.
    """
    reader = _Reader()
    while not reader.is_done:
        problem = reader.feed(file.read(_CHUNK))
        yield from reader.found
        if problem is not None:
            raise problem


class _Reader:
    """Makes elements of what expat finds; `found` are the children that ended within the last bytes."""

    def __init__(self) -> None:
        self._depth = self._elements = self._length = 0
        self.found: list[Element] = []
        self.is_done = False
        self._builder = TreeBuilder()
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def feed(self, data: bytes) -> Unusable | None:
        """Read on; no bytes are the end. Returns what is wrong, if anything is."""
        self.found = []
        self.is_done = not data
        self._length += len(data)
        try:
            if self._length > _LONGEST + _CHUNK:
                self._refuse_large()
            self._parser.Parse(data, self.is_done)
        except Unusable as problem:
            return problem
        except expat.ExpatError as error:
            return Unusable(f"is not XML at line {error.lineno} ({expat.ErrorString(error.code)})")
        except (LookupError, ValueError):
            return Unusable("is in an encoding that is not known")
        return None

    def _refuse_large(self) -> None:
        raise Unusable(f"has an entry that is too large, at line {self._parser.CurrentLineNumber}")

    def _refuse_doctype(self, *_: object) -> None:
        raise Unusable("has a document type, which is not read")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            self._refuse_large()
        if self._depth > 1:
            self._builder.start(tag, attributes | {"line": str(self._parser.CurrentLineNumber)})

    def _text(self, text: str) -> None:
        if self._depth > 1:
            self._builder.data(text)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._depth:
            element = self._builder.end(tag)
            if self._depth == 1:
                self.found.append(element)
                self._builder = TreeBuilder()
                self._elements = self._length = 0
