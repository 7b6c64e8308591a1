"""What a webhook says and how it is signed: Standard Webhooks (https://www.standardwebhooks.com), version 1.

The signature is an HMAC-SHA256 over the delivery's id, the time of sending and the body, so that whoever
receives it can tell that it is from here, unchanged, and not an old one sent anew.
"""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

FINISHED = "detection.finished"
FAILED = "detection.failed"


def body_of(kind: str, detection: dict[str, Any]) -> bytes:
    """Return the body of the webhook about the end of a detection; it is the same at each try."""
    form = {"type": kind, "timestamp": detection["ended_at"], "data": detection}
    return json.dumps(form, separators=(",", ":")).encode()


def headers_of(delivery: str, body: bytes, secret: str, *, now: float | None = None) -> dict[str, str]:
    """Return the headers of a delivery; `delivery` is its id, the same at each try; `now` in Unix time."""
    timestamp = str(int(time.time() if now is None else now))
    return {
        "Content-Type": "application/json",
        "Webhook-Id": delivery,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": f"v1,{signature(delivery, timestamp, body, secret)}",
    }


def signature(delivery: str, timestamp: str, body: bytes, secret: str) -> str:
    """Return the HMAC-SHA256 of ``id.timestamp.body`` in base64; `secret` is ``whsec_`` and base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join([delivery.encode(), timestamp.encode(), body])
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
