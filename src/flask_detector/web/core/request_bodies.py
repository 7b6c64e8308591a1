"""Request bodies, bounded in size and in number of values before anything is parsed.

A picture in base64 is one long text, however large. Millions of keys, numbers or fields are no picture: each
of them becomes an object of some hundred bytes, and naming each as unknown takes far more.
"""

import codecs
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable
from typing import IO, Any, BinaryIO, cast
from urllib.parse import parse_qsl

from flask import Flask, current_app, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.wsgi import get_input_stream

from flask_detector.errors import (
    BadParameter,
    DetectorError,
    RequestError,
    RequestTooLarge,
    ServiceError,
    StorageUnavailable,
    UnknownEncoding,
)
from flask_detector.web.core.quota import Quota

_MEMORY = "flask-detector-bodies"
_PLAIN = "identity"

# In a request's WSGI environment: its body, and the memory that it has taken.
_RECEIVED = "flask_detector.body"
_TAKEN = "flask_detector.memory"

# A body stays in memory up to so many bytes as it comes.
_IN_MEMORY = 1_000_000

# Fields of a form, and bytes of it that are written as "%2B": of base64 every twentieth, at most.
MOST_FIELDS = 1000
_MOST_ESCAPES = 2_000_000

# Keys and objects of a JSON body, and values in its lists. Tensors and drawn masks have many of these.
MOST_KEYS = 100_000
MOST_VALUES = 1_000_000

# What a body in memory takes: itself, its text and the picture that is decoded of it; and each value.
_COPIES = 3
_VALUE_BYTES = 100
_PATIENCE_SECONDS = 5.0
_RETRY_SECONDS = 5

# By Content-Encoding, what zlib needs to know.
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_PIECE = 1 << 16


def install(app: Flask, *, max_upload_bytes: int) -> None:
    """Bound the memory for large bodies, and read those that come compressed."""
    memory = app.extensions[_MEMORY] = Quota(10 * max_upload_bytes, client_part=1)
    app.wsgi_app = _inflating(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation does

    @app.before_request
    def refuse_other_encodings() -> None:
        if (encoding := request.headers.get("Content-Encoding", _PLAIN).strip().lower()) != _PLAIN:
            raise UnknownEncoding(f"The request's body is encoded as '{encoding[:20]}'.")

    @app.teardown_request
    def let_go(_: BaseException | None) -> None:
        memory.give_back("", request.environ.pop(_TAKEN, 0))
        if isinstance(file := request.environ.pop(_RECEIVED, None), tempfile.SpooledTemporaryFile):
            file.close()


def received() -> BinaryIO:
    """Return the current request's body, read once, as a file that is closed with the request.

    Raises RequestEntityTooLarge for more than `request.max_content_length`, RequestError for less than there
    should be, and StorageUnavailable; each time.
    """
    if _RECEIVED not in request.environ:
        try:
            request.environ[_RECEIVED] = _received()
        except (DetectorError, HTTPException) as error:  # what was read is gone
            request.environ[_RECEIVED] = error
    found = request.environ[_RECEIVED]
    if isinstance(found, Exception):
        raise found
    found.seek(0)
    return cast(BinaryIO, found)


def whole() -> bytes:
    """Return the current request's body; raises as `received` does, and ServiceError for want of memory."""
    body = received()
    size = body.seek(0, io.SEEK_END)
    if _TAKEN not in request.environ:
        _take(_COPIES * size)
    body.seek(0)
    return body.read()


def is_object(body: bytes) -> bool:
    """Return whether a body looks like a JSON object."""
    return body[:256].removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"{"


def checked_json(body: bytes, *, most_keys: int = MOST_KEYS, most_values: int = MOST_VALUES) -> bytes:
    """Return a body that is to be JSON without a mark before it; raises BadParameter, ServiceError.

    What is within texts is counted, too: base64 has none of these characters.
    """
    keys = body.count(b":") + body.count(b"{")
    values = body.count(b",") + body.count(b"[")
    if keys > most_keys or values > most_values:
        raise BadParameter(
            f"The JSON has more than {most_keys:,} keys or {most_values:,} values, the most that are read.",
            hint="Send a picture as its file, in base64.",
        )
    _take(_VALUE_BYTES * (keys + values))
    return body.removeprefix(codecs.BOM_UTF8)


def checked_fields(body: bytes) -> bytes:
    """Return a body that is a form's fields; raises RequestTooLarge."""
    if body.count(b"&") >= MOST_FIELDS or body.count(b"%") > _MOST_ESCAPES:
        raise RequestTooLarge(
            f"The form has more than {MOST_FIELDS:,} fields, the most that are accepted.",
            hint="Send a picture as its file.",
        )
    return body


def fields() -> MultiDict[str, str]:
    """Return the fields of the body that `whole` reads; raises as that does, and RequestTooLarge."""
    text = checked_fields(whole()).decode(errors="replace")
    return MultiDict(parse_qsl(text, keep_blank_values=True))


class BoundedParser(FormDataParser):
    """Reads forms of a bounded number of fields."""

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: Any = None
    ) -> tuple[IO[bytes], Any, Any]:
        """Return the stream, the texts and the files; raises RequestTooLarge, RequestEntityTooLarge."""
        if mimetype == "application/x-www-form-urlencoded":
            data = stream.read()
            if self.max_form_memory_size is not None and len(data) > self.max_form_memory_size:
                raise RequestEntityTooLarge
            stream = io.BytesIO(checked_fields(data))
        return super().parse(stream, mimetype, content_length, options)


def _received() -> IO[bytes]:
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # it is closed with the request
    try:
        copy_to(cast(IO[bytes], file))
    except OSError as error:  # of the file; one of the connection is no longer an OSError here
        file.close()
        raise StorageUnavailable(
            f"The request could not be taken in: {error.strerror or 'the disk is full'}.",
            hint="Check that the folder for temporary files is writable and its disk is not full.",
        ) from error
    except BaseException:
        file.close()
        raise
    return cast(IO[bytes], file)


def copy_to(file: IO[bytes]) -> None:
    """Write the current request's body, which is read by it, to an empty file.

    Raises RequestEntityTooLarge for more than `request.max_content_length`, RequestError for less than there
    should be, and OSError of the file.
    """
    shutil.copyfileobj(request.stream, file, _PIECE)
    if file.tell() < (request.content_length or 0):
        raise RequestError("The request ended before it was complete.", hint="Send it again.")


def _take(size: int) -> None:
    """Take memory for the request, all that there is for one that needs more; raises ServiceError."""
    memory: Quota = current_app.extensions[_MEMORY]
    size = min(size, memory.size)
    if not memory.take("", size, patience=_PATIENCE_SECONDS):
        raise ServiceError("Too many large requests are being read.", retry_after=_RETRY_SECONDS)
    request.environ[_TAKEN] = request.environ.get(_TAKEN, 0) + size


class _Inflated(io.RawIOBase):
    """The bytes of a compressed body."""

    def __init__(self, body: IO[bytes], window_bits: int) -> None:
        self._body = body
        self._engine = zlib.decompressobj(window_bits)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Put the next bytes into a buffer; raises RequestError for what is not compressed as it says."""
        while not self._engine.eof:
            data = self._engine.unconsumed_tail or self._body.read(_PIECE)
            try:
                piece = self._engine.decompress(data, len(buffer))
            except zlib.error as error:
                raise RequestError("The body is not compressed as its Content-Encoding says.") from error
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)
            if not data:
                raise RequestError("The compressed body is cut short.")
        return 0


def _inflating(app: Callable[..., Any]) -> Callable[..., Any]:
    """Return the application, to which bodies in gzip or deflate come as if they had not been compressed."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        if encoding in _WINDOW_BITS:
            body = get_input_stream(environ)  # of its length, and no limit: that is of what comes out of it
            environ["wsgi.input"] = io.BufferedReader(_Inflated(body, _WINDOW_BITS[encoding]), _PIECE)
            environ["wsgi.input_terminated"] = True
            del environ["HTTP_CONTENT_ENCODING"]
            environ.pop("CONTENT_LENGTH", None)
        return app(environ, start_response)

    return answer
