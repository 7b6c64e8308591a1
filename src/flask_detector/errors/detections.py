"""A detection can't be shown."""

from flask_detector.errors.base import DetectorError


class DetectionError(DetectorError):
    """The requested detection can't be shown."""


class UnknownDetection(DetectionError, hint="Check the URL, or send the picture."):
    """No detection has that id."""


class DetectionExpired(DetectionError, hint="Send the picture again."):
    """The detection existed; it and its picture have been deleted."""


class DetectionNotFinished(DetectionError, hint="Ask again in a moment."):
    """The detection has no result yet."""


class DetectionFailed(DetectionError, hint="Try again, or see the worker's log."):
    """The detection ended without a result."""
