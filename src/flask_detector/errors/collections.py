"""A collection can't be used, or a data set not be imported into one."""

from flask_detector.errors.base import DetectorError


class CollectionError(DetectorError):
    """The collection can't be used."""


class UnknownCollection(
    CollectionError, hint="Check the URL; it may have been deleted, or not be shared any more."
):
    """No collection has that id, or it is not yours."""


class UnknownPicture(CollectionError, hint="It may have been deleted."):
    """The collection has no such picture."""


class CollectionFull(CollectionError, hint="Delete pictures or collections that are no longer needed."):
    """There is no room for more in collections."""


class DatasetError(DetectorError, code="bad_dataset", hint="Pack or copy it again."):
    """A data set can't be read."""


class UnknownDataset(
    DatasetError, hint="Labels of COCO, YOLO, Pascal VOC, LabelMe, CVAT 1.1 and Label Studio are read."
):
    """The file holds no data set of a known format."""


class DatasetTooLarge(DatasetError, hint="Divide it into smaller ones."):
    """The data set has more files, or unpacks to more bytes, than are accepted."""
