"""The picture of a Label Studio task: in the task itself, in Label Studio, or at a URL.

Only the Label Studio that the settings name is asked, never one that a request names: who asks could have
this server fetch from anywhere, with its token. Source: HumanSignal/label-studio-sdk,
_extensions/label_studio_tools/core/utils/io.py and tokens/client_ext.py.
"""

import base64
import json
from urllib.parse import quote, urljoin, urlsplit

from flask_detector import guarded_http
from flask_detector.errors import AddressUnreachable, BadParameter
from flask_detector.web.compat import request_body
from flask_detector.web.core import fetch_url
from flask_detector.web.core.service import service

_REDIRECTS = range(300, 400)
_STORAGES = ("s3://", "gs://", "azure-blob://", "azure_spi://")


def picture_of_task(value: str, task_id: object) -> bytes:
    """Return the picture that a task's data names.

    Raises BadParameter, AddressRefused or AddressUnreachable where it can't be had, and PictureError.
    """
    if value.startswith("data:"):
        return request_body.picture_of(value)
    base = (service().settings.label_studio_url or "").rstrip("/")
    address = _address(value, base, task_id)
    return request_body.picture_at(value) if address is None else _fetched(address, base)


def _address(value: str, base: str, task_id: object) -> str | None:
    """Return where in our Label Studio a picture is; None for one that is elsewhere."""
    if value.startswith(("http://", "https://")):
        same = bool(base) and urlsplit(value)[:2] == urlsplit(base)[:2]
        return value if same else None
    if value.startswith(_STORAGES):
        uri = base64.urlsafe_b64encode(value.encode()).decode()
        path = f"/tasks/{quote(str(task_id), safe='')}/presign/?fileuri={uri}"
    else:
        start = urlsplit(base).path  # that of a Label Studio under a path stands before its own paths
        path = "/" + (value.removeprefix(start) if value.startswith(f"{start}/") else value).lstrip("/")
        path = f"/data{path}" if path.startswith("/upload/") else path
    if not base:
        raise BadParameter(
            "The task's picture is stored in Label Studio.",
            hint="Set DETECTOR_LABEL_STUDIO_URL, and its access token.",
        )
    return base + path


def _fetched(address: str, base: str) -> bytes:
    """Return what our Label Studio has; the storage to which it may redirect must not see the token."""
    with fetch_url.fetching() as seconds_left:
        headers = _authorization(base, seconds_left())
        rules = guarded_http.Rules(True, seconds_left(), service().settings.max_upload_bytes)
        answer = guarded_http.send("GET", address, rules, headers=headers)
        target = answer.headers.get("location")
        if answer.status in _REDIRECTS and target is not None:
            return request_body.picture_at(urljoin(address, target))
    return fetch_url.checked(answer).body


def _authorization(base: str, seconds: float) -> dict[str, str]:
    """Return the header for the settings' token; a personal one is first exchanged for a short-lived one."""
    key = service().settings.label_studio_key
    if key is None:
        return {}
    token = key.get_secret_value()
    if token.count(".") != 2:
        return {"Authorization": f"Token {token}"}
    answer = guarded_http.send(
        "POST",
        f"{base}/api/token/refresh/",
        guarded_http.Rules(True, seconds, 100_000),
        headers={"Content-Type": "application/json"},
        body=json.dumps({"refresh": token}).encode(),
    )
    try:
        return {"Authorization": f"Bearer {json.loads(answer.body)['access']}"}
    except (ValueError, KeyError, TypeError) as error:
        raise AddressUnreachable("Label Studio rejected the configured token.") from error
