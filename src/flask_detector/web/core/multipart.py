"""A lenient parser of multipart forms, whose errors say what a broken form lacks.

werkzeug's own parser makes an empty form of one that is cut short or has a file name that is not UTF-8, and
text of a file whose part has no file name.
"""

import email.errors
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from email.header import decode_header, make_header
from pathlib import Path
from typing import IO, Any, cast

import flask
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Event, Field, File, MultipartDecoder, NeedData, State

from flask_detector.errors import BrokenForm
from flask_detector.imaging import sniff
from flask_detector.web.core.request_bodies import BoundedParser
from flask_detector.web.core.text_encoding import decoded

_CHUNK = 64 * 1024
_IN_MEMORY = 500_000
_LONGEST_HEAD = 64 * 1024

# With what it escapes; with nothing it is one of a path on Windows, which some clients leave as it is.
_BACKSLASH = re.compile(r"""\\[\\"]?""")

# How browsers write line ends in names (HTML, "multipart form data"); quotes werkzeug knows itself.
_LINE_END = re.compile("%0D%0A|%0D|%0A", re.IGNORECASE)


class FormParser(BoundedParser):
    """Reads forms; raises BrokenForm, RequestTooLarge and RequestEntityTooLarge.

    folder: where each part is kept in a file that has a name; None for memory, or files without one.
    """

    folder: Path | None = None

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: Mapping[str, str] | None = None,
    ) -> tuple[IO[bytes], Any, Any]:
        """Return the stream, which is read, the texts and the files."""
        if mimetype == "multipart/form-data":
            texts, files = self._read(stream, (options or {}).get("boundary", ""))
            return stream, texts, files
        self.silent = False
        try:
            return super().parse(stream, mimetype, content_length, cast(dict[str, str], options))
        except ValueError as error:
            raise BrokenForm("The form is not written in UTF-8.") from error

    def _read(self, stream: IO[bytes], boundary: str) -> tuple[Any, Any]:
        texts: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        room = self.max_form_memory_size
        with ExitStack() as opened:
            for part, content in _parts(stream, boundary, self.max_form_parts, opened, self.folder):
                size = content.seek(0, 2)
                content.seek(0)
                name = _file_name(part)
                if not _is_file(part, content):
                    if room is not None and (room := room - size) < 0:
                        raise RequestEntityTooLarge
                    texts.append((part.name or "", decoded(content.read())))
                    content.close()
                elif name or size:
                    file = FileStorage(content, name, part.name, headers=part.headers)
                    files.append((part.name or "", file))
                else:  # what a browser sends where no file was chosen
                    content.close()
            opened.pop_all()  # the request closes its files
        return self.cls(texts), self.cls(files)


class Request(flask.Request):
    """A request whose forms are read by the parser above."""

    form_data_parser_class = FormParser
    files_folder: Path | None = None

    def make_form_data_parser(self) -> FormParser:
        """Return the parser, which keeps files where `files_folder` says."""
        parser = cast(FormParser, super().make_form_data_parser())
        parser.folder = self.files_folder
        return parser


class _Decoder(MultipartDecoder):
    def _parse_headers(self, data: bytes | bytearray) -> Any:
        """Return a part's head, whatever its encoding."""
        text = "\n".join(decoded(line) for line in bytes(data).split(b"\n"))
        return super()._parse_headers(_BACKSLASH.sub(lambda match: match[0].ljust(2, "\\"), text).encode())


def _parts(
    stream: IO[bytes], boundary: str, most: int | None, opened: ExitStack, folder: Path | None
) -> Iterator[tuple[Field | File, IO[bytes]]]:
    """Yield each part with a file of its bytes, which `opened` closes; none for a form of no bytes at all."""
    if not boundary:
        raise BrokenForm("The form's Content-Type names no boundary.")
    decoder = _Decoder(boundary.encode("latin-1", "replace"), max_parts=most)
    if not (first := stream.read(_CHUNK)):
        return
    decoder.receive_data(first)
    part, content = None, None
    while decoder.state is not State.EPILOGUE:
        event = _next_event(decoder, stream)
        if isinstance(event, Field | File):
            part = event
            content = cast(IO[bytes], opened.enter_context(_file(folder)))
        elif isinstance(event, Data) and part is not None and content is not None:
            content.write(event.data)
            if not event.more_data:
                yield part, content
    _pass_over(stream)


def _file(folder: Path | None) -> Any:
    if folder is None:
        return tempfile.SpooledTemporaryFile(_IN_MEMORY)
    return tempfile.NamedTemporaryFile(dir=folder)


def _next_event(decoder: MultipartDecoder, stream: IO[bytes]) -> Event:
    try:
        while isinstance(event := decoder.next_event(), NeedData):
            if decoder.state in {State.PREAMBLE, State.PART} and len(decoder.buffer) > _LONGEST_HEAD:
                _pass_over(stream)  # so that the client, which is still sending, gets the answer
                raise ValueError("there is no end to what should be short")
            decoder.receive_data(stream.read(_CHUNK) or None)
    except ValueError as error:
        if decoder.state is State.PREAMBLE:
            raise BrokenForm("The form does not use the boundary that its Content-Type names.") from error
        if decoder.complete:
            raise BrokenForm("The form is truncated: its last boundary is missing.") from error
        raise BrokenForm("A part of the form has no usable headers.") from error
    return event


def _pass_over(stream: IO[bytes]) -> None:
    while stream.read(_CHUNK):
        pass


def _is_file(part: Field | File, content: IO[bytes]) -> bool:
    """Return whether a part is a file: it has a file name, or says so by its type, or is a picture."""
    kind = part.headers.get("Content-Type", "")
    if isinstance(part, File) or kind.startswith(("image/", "application/octet-stream")):
        return True
    head = content.read(sniff.HEAD_BYTES)
    content.seek(0)
    return sniff.format_of(head) is not None


def _file_name(part: Field | File) -> str:
    name = part.filename if isinstance(part, File) else ""
    if "=?" in name:  # as mail programs write it (RFC 2047)
        with suppress(email.errors.HeaderParseError, LookupError, UnicodeError, ValueError):
            name = str(make_header(decode_header(name)))
    return _LINE_END.sub("\n", name)
