"""The pictures of a request, however they were sent: a form, bare bytes, JSON or an address."""

import base64
import binascii
import io
import re
import shutil
import tempfile
from dataclasses import dataclass
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from flask import Response, after_this_request, request

from flask_detector.errors import (
    BadParameter,
    NoPicture,
    PictureTooLarge,
    RequestError,
    RequestTooLarge,
    StorageUnavailable,
    TooManyPictures,
)
from flask_detector.imaging import decode
from flask_detector.settings import MEGABYTE
from flask_detector.web.api.params import JsonPicture, Options, UrlOptions, checked, from_fields, from_json
from flask_detector.web.core.fetch_url import fetch
from flask_detector.web.core.service import service

FORM = "multipart/form-data"
_BARE_FORM = "application/x-www-form-urlencoded"
_FORM_FIELD = re.compile(rb"[\w%.+-]+=")

# A picture's bytes stay in memory up to this many; larger ones go to a temporary file.
_IN_MEMORY = MEGABYTE


@dataclass(frozen=True)
class Sent:
    """What a request brings: pictures with the names that they are called by, and how to detect them."""

    pictures: list[tuple[BinaryIO, str | None]]
    options: Options

    def close(self) -> None:
        """Let go of the pictures' files."""
        for picture, _ in self.pictures:
            picture.close()


def read() -> Sent:
    """Return what the current request brings.

    Raises NoPicture, BadParameter, TooManyPictures, RequestTooLarge and what fetching an address raises.
    """
    match request.mimetype:
        case "multipart/form-data":
            return _of_form()
        case "application/json":
            return _of_json()
        case "application/x-www-form-urlencoded":
            return _of_bare_form()
        case _:
            options = from_fields(Options, request.args)
            return Sent([(_body(), None)], options)


def _of_form() -> Sent:
    if not request.mimetype_params.get("boundary"):
        raise RequestError(
            "The form's boundary is missing.", hint="Let your HTTP client set the Content-Type itself."
        )
    settings = service().settings
    _allow(settings.max_batch_bytes + MEGABYTE)
    files = [file for group in request.files.listvalues() for file in group]
    options = from_fields(UrlOptions, request.args, request.form)
    if len(files) > settings.max_batch:
        raise TooManyPictures(
            f"These are {len(files)} pictures; at most {settings.max_batch} are accepted at once."
        )
    if not files:
        return Sent([_fetched(options.url)], options)
    return Sent([(cast(BinaryIO, file.stream), file.filename) for file in files], options)


def _of_bare_form() -> Sent:
    """Read a form without files; curl and other clients also call a bare body that unless told otherwise."""
    _allow_picture(service().limits.max_bytes)
    data = request.get_data()
    if data.lstrip()[:1] == b"{":
        raise RequestError(
            "The body looks like JSON, but its Content-Type does not say so.",
            hint="Send it with Content-Type: application/json; with curl: --json in place of -d.",
        )
    if decode.format_of(data[:256]) is not None or (data and not _FORM_FIELD.match(data)):
        return Sent([(io.BytesIO(data), None)], from_fields(Options, request.args))
    options = from_fields(UrlOptions, request.args, request.form)
    return Sent([_fetched(options.url)], options)


def _of_json() -> Sent:
    _allow(service().settings.max_upload_bytes * 4 // 3 + MEGABYTE)
    wishes = from_json(JsonPicture, request.get_data(cache=False))
    if request.args:
        asked = from_fields(Options, request.args).model_dump(exclude_unset=True)
        wishes = checked(JsonPicture, {**asked, **wishes.model_dump(exclude_unset=True)})
    if wishes.image is not None and wishes.url is not None:
        raise BadParameter("There is both an 'image' and a 'url'.", hint="Send one of them.", field="url")
    if wishes.image is None:
        picture, name = _fetched(wishes.url)
        return Sent([(picture, wishes.filename or name)], wishes)
    return Sent([(io.BytesIO(_decoded(wishes.image)), wishes.filename)], wishes)


def _allow(size: int) -> None:
    """Accept that many bytes of the body; raises RequestTooLarge where it says that it has more."""
    request.max_content_length = size
    if (request.content_length or 0) > size:
        raise RequestTooLarge(
            f"The request has more than {size / MEGABYTE:g} MB, the most that is accepted here."
        )


def _allow_picture(size: int) -> None:
    """Do the same for a body that is a picture; raises PictureTooLarge."""
    request.max_content_length = size
    if (request.content_length or 0) > size:
        raise PictureTooLarge(
            f"The picture has more than {size / MEGABYTE:g} MB, the most that is accepted here."
        )


def _body() -> BinaryIO:
    _allow_picture(service().limits.max_bytes)
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # it outlives this function

    @after_this_request
    def close(response: Response) -> Response:
        file.close()
        return response

    try:
        shutil.copyfileobj(request.stream, file)
    except OSError as error:  # of the file; one of the connection is no longer an OSError here
        raise StorageUnavailable(
            f"The picture could not be taken in: {error.strerror or 'the disk is full'}.",
            hint="Check that the folder for temporary files is writable and its disk is not full.",
        ) from error
    if file.tell() < (request.content_length or 0):
        raise RequestError("The request ended before all of the picture had come.", hint="Send it again.")
    file.seek(0)
    return cast(BinaryIO, file)


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
            "'image' is no base64.", hint="Send the picture's bytes in base64, nothing else.", field="image"
        ) from error


def _fetched(url: str | None) -> tuple[BinaryIO, str | None]:
    if url is None:
        raise NoPicture("No picture was sent.")
    answer = fetch(url)
    return io.BytesIO(answer.body), unquote(urlsplit(answer.url).path)
