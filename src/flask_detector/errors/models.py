"""A model can't be used, installed or taught."""

from flask_detector.errors.base import DetectorError


class ModelError(DetectorError):
    """The model can't be used."""


class UnknownModel(ModelError, hint="Run 'flask-detector models' to list the names."):
    """No model has that name."""


class ModelConflict(ModelError):
    """The model can't be installed, added or removed as things stand."""


class ModelNotInstalled(ModelError):
    """The model exists, but its weights are not on this machine."""


class NoMaskHead(ModelError, hint="Draw the outline, or detect again with a model that has masks."):
    """The model finds boxes alone, so that it can't make masks of given boxes."""


class CheckpointError(ModelError, code="bad_checkpoint", hint="Download or copy the file again."):
    """A weights file can't be read."""


class UnsafeCheckpoint(CheckpointError, hint="Nothing was executed. Use a checkpoint that you trust."):
    """A weights file contains something other than tensors and plain containers."""


class ForeignCheckpoint(
    CheckpointError, hint="Use a checkpoint of Mask R-CNN R-50 FPN, RTMDet or NanoDet-g."
):
    """A weights file is of another architecture, or has missing, unknown or wrongly shaped tensors."""


class DownloadError(ModelError, code="download_failed"):
    """A weights file could not be downloaded."""


class TeachingError(ModelError):
    """The model can't be taught."""


class BadTrainingData(TeachingError, hint="Mark objects in more pictures, or choose other classes."):
    """The pictures are not enough to teach a model."""


class UnknownRun(TeachingError, hint="It may have been deleted."):
    """No run of teaching has that id."""
