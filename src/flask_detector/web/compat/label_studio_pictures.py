"""The picture of a Label Studio task: in the task itself, in Label Studio, or at an address.

Only the Label Studio that the settings name is asked, never one that a request names: who asks could have
this server fetch from anywhere, with its token. Source: HumanSignal/label-studio-sdk,
_extensions/label_studio_tools/core/utils/io.py and tokens/client_ext.py.
"""

import base64
import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlsplit

from flask_detector.errors import BadParameter, NotAPicture, PictureTooLarge
from flask_detector.web.compat import sent
from flask_detector.web.service import service

_SECONDS = 20
_STORAGES = ("s3://", "gs://", "azure-blob://", "azure_spi://")


def picture_of_task(value: str, task_id: object) -> bytes:
    """Return the picture that a task's data names.

    Raises BadParameter where that can't be fetched from here, and PictureError where it is none.
    """
    if value.startswith("data:"):
        return sent.picture_of(value)
    base = (service().settings.label_studio_url or "").rstrip("/")
    address = _address(value, base, task_id)
    if address is None:
        return sent.picture_at(value)
    return _fetched(address, base)


def _address(value: str, base: str, task_id: object) -> str | None:
    """Return where in our Label Studio a picture is; None for one that is elsewhere."""
    if value.startswith(_STORAGES):
        uri = base64.urlsafe_b64encode(value.encode()).decode()
        path = f"/tasks/{quote(str(task_id), safe='')}/presign/?fileuri={uri}"
    elif value.startswith(("http://", "https://")):
        same = bool(base) and urlsplit(value)[:2] == urlsplit(base)[:2]
        return value if same else None
    else:
        path = "/" + value.lstrip("/")
        path = f"/data{path}" if path.startswith("/upload/") else path
    if not base:
        raise BadParameter(
            "The task's picture is in Label Studio.",
            hint="Set DETECTOR_LABEL_STUDIO_URL, and its access token.",
        )
    return base + path


def _fetched(address: str, base: str) -> bytes:
    limit = service().settings.max_upload_bytes
    try:
        with _opener.open(_request(address, _authorization(base)), timeout=_SECONDS) as answer:
            data: bytes = answer.read(limit + 1)
    except urllib.error.HTTPError as error:
        with error:
            target = error.headers.get("Location", "")
            if 300 <= error.code < 400 and target:  # the storage itself, which must not see our token
                return sent.picture_at(target)
        raise NotAPicture(f"Label Studio answers {error.code} for the task's picture.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotAPicture("The task's picture can't be fetched from Label Studio.") from error
    if len(data) > limit:
        raise PictureTooLarge(f"The task's picture has more than {limit / 1e6:g} MB.")
    return data


def _authorization(base: str) -> str | None:
    """Return the header for the settings' token; a personal one is first exchanged for a short-lived one."""
    key = service().settings.label_studio_key
    if key is None:
        return None
    token = key.get_secret_value()
    if token.count(".") != 2:
        return f"Token {token}"
    body = json.dumps({"refresh": token}).encode()
    request = _request(f"{base}/api/token/refresh/", None, data=body)
    request.add_header("Content-Type", "application/json")
    with _opener.open(request, timeout=_SECONDS) as answer:
        found: Any = json.load(answer)
    return f"Bearer {found['access']}"


def _request(address: str, authorization: str | None, data: bytes | None = None) -> urllib.request.Request:
    request = urllib.request.Request(address, data)  # noqa: S310  # of the settings' own Label Studio
    if authorization is not None:
        request.add_header("Authorization", authorization)
    return request


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Follow none: who is redirected to would get the token."""


_opener = urllib.request.build_opener(_NoRedirect)
