"""Responses in gzip, for clients that accept it.

Pages are sent as they are: they repeat parts of their URL next to a form token, and from the length of
what is compressed together one can guess at the other (BREACH, 2013).
"""

import gzip

from flask import Response, request

_TEXT = {
    "text/css",
    "text/javascript",
    "application/javascript",
    "application/json",
    "image/svg+xml",
}
_SMALLEST = 600  # bytes; what fits into one packet anyway is not worth it
_QUICK = 3
_SMALL = 9


def compress(response: Response, kept: dict[str, bytes] | None = None) -> Response:
    """Compress an answer where that is worth it and understood; the same answer comes back.

    kept: where files that never change keep their compressed bytes, by the request's path.
    """
    if response.status_code != 200 or response.mimetype not in _TEXT:
        return response
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings["gzip"] or (response.content_length or _SMALLEST) < _SMALLEST:
        return response
    response.direct_passthrough = False
    data = response.get_data()  # which also lets the response close its file in the end
    if kept is None:
        packed = gzip.compress(data, _QUICK)
    else:
        packed = kept.get(request.path) or gzip.compress(data, _SMALL)
        kept[request.path] = packed
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"
    tag, _ = response.get_etag()
    if tag is not None:
        response.set_etag(tag, weak=True)  # the same content, not the same bytes
    return response
