"""Pictures that a request names by their address, which the settings must allow."""

from http import HTTPStatus

from flask_detector import guarded_http
from flask_detector.errors import AddressRefused, AddressUnreachable, PictureTooLarge
from flask_detector.web.core.service import service

_SECONDS = 20
_REDIRECTS = 3


def fetch(address: str) -> guarded_http.Answer:
    """Return the answer that holds the picture at an address.

    Raises AddressRefused, AddressUnreachable and PictureTooLarge.
    """
    settings = service().settings
    if not settings.pictures_by_url:
        raise AddressRefused(
            "Pictures are not fetched from addresses here.",
            hint="Send the picture itself, or set DETECTOR_PICTURES_BY_URL.",
        )
    rules = guarded_http.Rules(
        settings.allow_private_addresses, _SECONDS, settings.max_upload_bytes, _REDIRECTS
    )
    return checked(guarded_http.send("GET", address, rules))


def checked(answer: guarded_http.Answer) -> guarded_http.Answer:
    """Return an answer that holds a whole picture; raises AddressUnreachable or PictureTooLarge."""
    if not answer.is_whole:
        limit = service().settings.max_upload_mb
        raise PictureTooLarge(f"The file has more than {limit:g} MB, the most that is accepted here.")
    if answer.status != HTTPStatus.OK:
        raise AddressUnreachable(f"The address answered {answer.status} instead of a picture.")
    return answer
