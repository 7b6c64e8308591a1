"""Client of a flask-detector server (docs/api.md): what it can do; `connection` is the way there.

The standard library's HTTP client suffices: it uses the environment's proxies, verifies certificates, and
there are only a few calls.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from flask_detector.api import Detections
from flask_detector.client.connection import Connection, Refused, ServerError, refusal_in
from flask_detector.client.teaching import Teaching
from flask_detector.structures.annotations import Annotations

__all__ = ["Client", "Refused", "ServerError"]

_UNFINISHED = {"queued", "running"}
_LONGEST_WAIT_ASKED_FOR = 30  # seconds, in Prefer
_PAUSES_BETWEEN_LOOKS = (0.1, 0.2, 0.4, 0.8)  # the last one is repeated
_PIECE = 1 << 18


class Client:
    """A flask-detector server. May be used from several threads.

    url: as opened in a browser.
    api_key: sent to this server only; None for none.
    timeout: seconds without any byte after which a call fails.

    Raises ServerError if the URL is invalid.

    >>> from flask_detector import Client
    >>> found = Client("http://127.0.0.1:5000").detect("street.jpg", model="nanodet-g", min_score=0.5)
    >>> found.counts()
    {'car': 4, 'person': 3}
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = Connection(url, api_key, timeout, sleep)
        self.url = self._connection.url
        self._sleep = sleep

    @property
    def teaching(self) -> Teaching:
        """Runs of teaching, for administrators."""
        return Teaching(self, self._sleep)

    def detect(
        self,
        picture: bytes | str | os.PathLike[str],
        filename: str | None = None,
        *,
        model: str = "auto",
        min_score: float | None = None,
    ) -> Detections:
        """Return the detections in a picture; waits for the result.

        Retries for minutes while the server is busy or can't be reached.

        picture: a path, or the bytes of a file.
        filename: its name on the server; None for the path's last part.
        model: of the server; `auto` for its default.
        min_score: minimum score to keep, in 0..1; None for the model's default.

        Raises Refused if the server rejects the picture or fails on it, ServerError if it can't be used, and
        OSError if the file can't be read.
        """
        if not isinstance(picture, bytes):
            filename = filename or Path(picture).name
            picture = Path(picture).read_bytes()
        options = {"model": model}
        if min_score is not None:
            options["min_score"] = str(min_score)
        media_type, body = _form(picture, filename or "picture")
        headers = {
            "Content-Type": media_type,
            "Prefer": f"wait={_LONGEST_WAIT_ASKED_FOR}",
            # A retry after a lost response must not create a second detection.
            "Idempotency-Key": secrets.token_hex(16),
        }
        form, _ = self._connection.call(f"/detections?{urlencode(options)}", headers, body)
        looks = 0
        while form.get("status") in _UNFINISHED:
            self._sleep(_PAUSES_BETWEEN_LOOKS[min(looks, len(_PAUSES_BETWEEN_LOOKS) - 1)])
            looks += 1
            id = quote(str(form.get("id")), safe="")
            form, _ = self._connection.call(f"/detections/{id}", {"Prefer": headers["Prefer"]})
        if form.get("status") != "done":
            raise refusal_in(form) or self._connection.strange()
        try:
            return Detections.from_json(form["result"])
        except (KeyError, ValueError) as error:
            raise self._connection.strange() from error

    def annotations(self, id: str) -> tuple[dict[str, Any], str]:
        """Return a detection's objects, corrected or as the model said, and their version.

        They are the annotations document that docs/results.md describes.

        id: of the detection, or of a picture of a collection, ``COLLECTION/pictures/PICTURE``.

        Raises Refused or ServerError.
        """
        form, headers = self._connection.call(_annotations_path(id), {})
        return form, headers.get("ETag", "")

    def save_annotations(self, id: str, document: dict[str, Any], version: str) -> tuple[dict[str, Any], str]:
        """Save corrected objects; return them as they are kept, and their version.

        version: the one that was corrected; `*` replaces whatever is there.

        Raises Refused, with the code `changed_meanwhile` where another version is there, or ServerError.
        """
        headers = {"Content-Type": "application/json", "If-Match": version}
        form, answered = self._connection.call(
            _annotations_path(id), headers, json.dumps(document).encode(), "PUT"
        )
        return form, answered.get("ETag", "")

    def create_collection(self, name: str) -> str:
        """Create a collection and return its id. Raises Refused or ServerError."""
        headers = {"Content-Type": "application/json"}
        form, _ = self._connection.call("/collections", headers, json.dumps({"name": name}).encode())
        return self._id(form.get("id"))

    def add_to_collection(
        self,
        collection: str,
        picture: bytes,
        filename: str,
        annotations: Annotations | None = None,
        split: str | None = None,
    ) -> tuple[str, bool]:
        """Add a picture with its objects to a collection; return its id, and whether it is new there.

        The same again is one picture. What is sent may take as long as the server needs, as with `detect`.

        split: `train`, `val` or `test`.

        Raises Refused or ServerError.
        """
        fields = {"split": split} if split else {}
        if annotations is not None:
            fields["annotations"] = json.dumps(annotations.to_json())
        media_type, body = _form(picture, filename, fields)
        path = f"/collections/{quote(collection, safe='')}/pictures"
        form, _ = self._connection.call(path, {"Content-Type": media_type}, body)
        return self._id(next(iter(form.get("pictures", [])), None)), form.get("added") == 1

    def call(self, method: str, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call an operation of the API that takes and returns JSON; `path` is what follows ``/api/v1``.

        Raises Refused or ServerError.
        """
        headers = {} if form is None else {"Content-Type": "application/json"}
        body = None if form is None else json.dumps(form).encode()
        return self._connection.call(path, headers, body, method)[0]

    def download(self, path: str, file: BinaryIO) -> None:
        """Write what a GET of the API returns to a seekable file, a piece at a time.

        Raises Refused, ServerError, or OSError of the file.
        """

        def read(response: Any) -> dict[str, Any]:
            file.seek(0)  # what a broken connection left there goes
            file.truncate()
            while piece := response.read(_PIECE):
                file.write(piece)
            return {}

        self._connection.call(path, {}, read=read)

    def _id(self, id: object) -> str:
        if not isinstance(id, str):
            raise self._connection.strange()
        return id


def _annotations_path(id: str) -> str:
    folder = "collections" if "/" in id else "detections"
    return f"/{folder}/{quote(id)}/annotations"


def _form(picture: bytes, filename: str, fields: Mapping[str, str] | None = None) -> tuple[str, bytes]:
    """Return the media type and the body of a form with the picture and other fields (RFC 7578)."""
    boundary = secrets.token_hex(16)
    name = re.sub(r"[\0-\x1f\x7f]", "_", filename.encode("utf-8", "replace").decode())
    name = name.replace("\\", "%5C").replace('"', "%22")
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in (fields or {}).items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return f"multipart/form-data; boundary={boundary}", b"".join(
        [head.encode(), picture, f"\r\n--{boundary}--\r\n".encode()]
    )
