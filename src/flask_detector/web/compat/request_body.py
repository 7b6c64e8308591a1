"""Lenient readers of what clients send: forms, JSON, pictures in base64."""

import base64
import binascii
import io
import math
import re
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from flask import g, request
from pydantic_core import from_json
from werkzeug.exceptions import HTTPException

from flask_detector.errors import BadParameter, DetectorError, NotAPicture, TooManyPictures
from flask_detector.imaging import sniff
from flask_detector.settings import MEGABYTE
from flask_detector.web.core import fetch_url, request_bodies
from flask_detector.web.core.service import service

_MOST_PARTS = 100
_LONGEST_TEXT = 4096
_DATA_URI = re.compile(r"data:[^,;]*(?:;[^,;]*)*,", re.ASCII)


@dataclass
class Form:
    """A form's text fields, and its picture: the part of the expected name, else the first file."""

    fields: dict[str, str] = field(default_factory=dict)
    picture: BinaryIO | None = None


def form(picture_name: str) -> Form:
    """Return the form of the current request, read once; raises BadParameter or NotAPicture each time.

    A picture may come as a file, whether or not its part says that it is one, or as base64. A body that is no
    form is itself the picture, or JSON with the same fields. Query parameters count as fields.
    """
    if "sent_form" not in g:
        try:
            g.sent_form = _read_form(picture_name)
        except (DetectorError, HTTPException) as error:  # its body is gone
            g.sent_form = error
    if isinstance(g.sent_form, Exception):
        raise g.sent_form
    return cast(Form, g.sent_form)


def _read_form(picture_name: str) -> Form:
    allow_base64()
    sent = Form(dict(request.args.items()))
    kind = request.mimetype
    if kind == "multipart/form-data":
        _read_parts(sent, picture_name)
        return sent
    head = request_bodies.received().read(256)
    # Many HTTP clients call a bare body a form, or JSON, by default.
    if sniff.format_of(head) is None and kind == "application/json":
        values = json_object()
        fields = {name: str(v) for name, v in values.items() if name != picture_name and v is not None}
        sent.fields |= fields
        sent.picture = _opened(values.get(picture_name))
    elif sniff.format_of(head) is None and kind == "application/x-www-form-urlencoded":
        texts = request_bodies.fields().to_dict()
        sent.picture = _opened(texts.pop(picture_name, None))
        sent.fields |= texts
    elif head:
        sent.picture = request_bodies.received()
    return sent


def _read_parts(sent: Form, picture_name: str) -> None:
    request.max_form_parts = _MOST_PARTS
    request.max_form_memory_size = None  # base64 is a text
    texts = request.form.to_dict()
    as_text = texts.pop(picture_name, None)
    sent.fields |= {name: text[:_LONGEST_TEXT] for name, text in texts.items()}
    file = request.files.get(picture_name)
    if file is None and as_text is None:
        file = next(iter(request.files.values()), None)
    sent.picture = _opened(as_text) if file is None else cast(BinaryIO, file.stream)


def json_object() -> dict[str, Any]:
    """Return the object that the current request's body is, whatever its Content-Type says; read once.

    Raises BadParameter.
    """
    if "sent_json" not in g:
        g.sent_json = parsed_object(body())
    return cast(dict[str, Any], g.sent_json)


def body() -> bytes:
    """Return the current request's body, which may be as large as a picture in base64."""
    allow_base64()
    return request_bodies.whole()


def parsed_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; raises BadParameter."""
    text = request_bodies.checked_json(body)
    try:
        value = from_json(text)  # json.loads lets half of a surrogate pair through, which is no text
    except ValueError as error:
        raise BadParameter("The request's body is not JSON.") from error
    if not isinstance(value, dict):
        raise BadParameter("The request's body is not a JSON object.")
    return value


def allow_base64() -> None:
    """Let the request be as large as the largest accepted picture in base64, and some more."""
    request.max_content_length = service().settings.max_upload_bytes * 4 // 3 + MEGABYTE


def check_number(pictures: int) -> None:
    """Raise TooManyPictures for more than one request may bring."""
    if pictures > (most := service().settings.max_batch):
        raise TooManyPictures(f"You sent {pictures} pictures; at most {most} are accepted at once.")


def picture_of(value: object) -> bytes:
    """Return a picture from its text: base64 (URL-safe, unpadded, a data URI), or a URL.

    Raises NotAPicture, and what `fetch_url.fetch` raises.
    """
    if not isinstance(value, str):
        raise NotAPicture("The picture is not a text in base64.")
    if _URL.match(value[:8]):
        return picture_at(value)
    prefix = _DATA_URI.match(value[:256])
    text = "".join(value[prefix.end() if prefix else 0 :].split()).rstrip("=")
    try:
        data = text.encode("ascii").translate(_URL_SAFE)
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise NotAPicture("The picture is not valid base64.") from error


def picture_at(url: str) -> bytes:
    """Return the picture at a URL, where the settings allow that; raises as `fetch_url.fetch` does."""
    return fetch_url.fetch(url).body


def mapping(value: object, name: str) -> dict[str, Any]:
    """Return the object that a value is, an empty one for null; raises BadParameter."""
    if value is not None and not isinstance(value, dict):
        raise BadParameter(f"{name} is not an object.")
    return value or {}


def mappings(value: object, name: str) -> list[dict[str, Any]]:
    """Return a list of objects; raises BadParameter."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadParameter(f"{name} is not a list of objects.")
    return value


_URL = re.compile("(?:https?|rtsps?|ftp):", re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _opened(value: object) -> BinaryIO | None:
    return None if value in (None, "") else io.BytesIO(picture_of(value))


def number(value: object, *, name: str, default: float) -> float:
    """Return the finite number that a parameter is, also as text; the default for a missing or empty one.

    Raises BadParameter.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return default
    try:
        found = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # told by TypeError
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise BadParameter(f"{name} is {str(value)[:20]!r}.", hint="It must be a number.")
    return found
