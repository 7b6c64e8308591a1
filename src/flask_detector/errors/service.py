"""The service is unavailable for the moment, or misconfigured."""

from flask_detector.errors.base import DetectorError


class ServiceError(DetectorError, code="service_unavailable", hint="Try again in a moment."):
    """The service is temporarily unavailable; the same request may succeed later."""


class QueueFull(ServiceError):
    """Too many pictures are already waiting."""


class ShareUsedUp(ServiceError, hint="Wait for the number of seconds in Retry-After."):
    """The sender has reached the limit of waiting pictures per client."""


class BrokerUnavailable(ServiceError, hint="Nothing is lost. Try again in a moment."):
    """Redis can't be reached."""


class StorageUnavailable(ServiceError):
    """Pictures can't be written or read."""


class SettingsError(DetectorError, code="bad_settings"):
    """The installation is misconfigured."""
