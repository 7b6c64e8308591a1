"""The pictures of a request, however they were sent: a form, bare bytes, JSON or a URL."""

import base64
import binascii
import io
import re
from dataclasses import dataclass
from typing import BinaryIO, cast

from flask import request

from flask_detector.errors import (
    BadParameter,
    NoPicture,
    PictureTooLarge,
    RequestError,
    RequestTooLarge,
    TooManyPictures,
)
from flask_detector.imaging import sniff
from flask_detector.settings import MEGABYTE
from flask_detector.web.api.params import JsonPicture, Options, UrlOptions, checked, from_fields, from_json
from flask_detector.web.core import request_bodies
from flask_detector.web.core.fetch_url import fetch, name_of
from flask_detector.web.core.service import service

FORM = "multipart/form-data"
_FORM_FIELD = re.compile(rb"[\w%.+-]+=")


@dataclass(frozen=True)
class Upload:
    """What a request brings: pictures with the names that they are called by, and how to detect them."""

    pictures: list[tuple[BinaryIO, str | None]]
    options: Options

    def close(self) -> None:
        """Let go of the pictures' files."""
        for picture, _ in self.pictures:
            picture.close()


def read() -> Upload:
    """Return what the current request brings.

    Raises NoPicture, BadParameter, TooManyPictures, RequestTooLarge and what fetching a URL raises.
    """
    match request.mimetype:
        case "multipart/form-data":
            return _of_form()
        case "application/json":
            allow(service().settings.max_upload_bytes * 4 // 3 + MEGABYTE)
            return _bare() if _is_picture() else _of_json()
        case "application/x-www-form-urlencoded":
            _allow_picture(service().limits.max_bytes)
            return _bare() if _is_picture() or not _is_form() else _of_bare_form()
        case _:
            _allow_picture(service().limits.max_bytes)
            return _bare()


def _is_picture() -> bool:
    """Return whether the body is a picture: by default clients call it JSON or a form."""
    return sniff.format_of(request_bodies.received().read(256)) is not None


def _is_form() -> bool:
    head = request_bodies.received().read(256)
    return not head or _FORM_FIELD.match(head) is not None or request_bodies.is_object(head)


def _bare() -> Upload:
    return Upload([(request_bodies.received(), None)], from_fields(Options, request.args))


def _of_form() -> Upload:
    settings = service().settings
    allow(settings.max_batch_bytes + MEGABYTE)
    files = [file for group in request.files.listvalues() for file in group]
    options = from_fields(UrlOptions, request.args, request.form)
    if len(files) > settings.max_batch:
        raise TooManyPictures(
            f"You sent {len(files)} pictures; at most {settings.max_batch} are accepted at once."
        )
    if not files:
        return Upload([_fetched(options.url)], options)
    return Upload([(cast(BinaryIO, file.stream), file.filename) for file in files], options)


def _of_bare_form() -> Upload:
    if request_bodies.is_object(request_bodies.received().read(256)):
        raise RequestError(
            "The body looks like JSON, but its Content-Type does not say so.",
            hint="Send it with Content-Type: application/json; with curl: --json in place of -d.",
        )
    options = from_fields(UrlOptions, request.args, request_bodies.fields())
    return Upload([_fetched(options.url)], options)


def _of_json() -> Upload:
    options = from_json(JsonPicture, request_bodies.whole())
    if request.args:
        asked = from_fields(Options, request.args).model_dump(exclude_unset=True)
        options = checked(JsonPicture, {**asked, **options.model_dump(exclude_unset=True)})
    if options.image is not None and options.url is not None:
        raise BadParameter("Both 'image' and 'url' are given.", hint="Send one of them.", field="url")
    if options.image is None:
        picture, name = _fetched(options.url)
        return Upload([(picture, options.filename or name)], options)
    return Upload([(io.BytesIO(_decoded(options.image)), options.filename)], options)


def allow(size: int) -> None:
    """Accept that many bytes of the body; raises RequestTooLarge where it says that it has more."""
    request.max_content_length = size
    if (request.content_length or 0) > size:
        raise RequestTooLarge(f"The request has more than {size / MEGABYTE:g} MB, the most that is accepted.")


def _allow_picture(size: int) -> None:
    """Do the same for a body that is a picture; raises PictureTooLarge."""
    request.max_content_length = size + 1  # Werkzeug refuses a body that fills its limit
    if (request.content_length or 0) > size:
        raise PictureTooLarge(f"The picture has more than {size / MEGABYTE:g} MB, the most that is accepted.")


def _decoded(text: str) -> bytes:
    head, comma, rest = text.partition(",")
    if comma and head.startswith("data:"):
        if not head.endswith(";base64"):
            raise BadParameter("The data: URL in 'image' is not in base64.", field="image")
        text = rest
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadParameter(
            "'image' is not base64.", hint="Send the picture's bytes in base64, nothing else.", field="image"
        ) from error


def _fetched(url: str | None) -> tuple[BinaryIO, str | None]:
    if url is None:
        raise NoPicture("No picture was sent.")
    answer = fetch(url)
    return io.BytesIO(answer.body), name_of(answer)
