"""Several files in one ZIP: all that a detection can be taken away as, or a batch of them.

A ZIP is written to a temporary file, since the pictures of a batch may be larger than the memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import PurePath
from tempfile import TemporaryFile
from typing import BinaryIO, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from flask_detector.errors import DetectionError
from flask_detector.formats import FORMATS
from flask_detector.formats.dataset import Item
from flask_detector.records import Record
from flask_detector.web import renditions
from flask_detector.web.service import Service
from flask_detector.web.view import View

# For reading; the others are for training and for labelling tools.
_FOR_READING = ("json", "csv", "geojson")

FORMAT_GROUPS = {
    "Data": [name for name in FORMATS if name in _FOR_READING],
    "For training and labelling": [name for name in FORMATS if name not in _FOR_READING],
}

Entries = Iterable[tuple[str, bytes]]


def of_detection(service: Service, record: Record, view: View) -> BinaryIO:
    """Return a ZIP of the drawn picture, the picture, and what is shown of the result in each format."""
    with service.places.one():
        return _zip(_files_of(service, record, view))


def of_batch(service: Service, records: Sequence[Record]) -> BinaryIO:
    """Return a ZIP of finished detections, a folder for each; what is deleted meanwhile is missing."""
    with service.places.one():
        return _zip(_folders_of(service, records))


def items_of(service: Service, records: Sequence[Record]) -> Iterator[Item]:
    """Return what a data set is made of, one picture at a time; what is deleted meanwhile is missing."""
    for record in records:
        with suppress(DetectionError):
            found, shown_score = service.jobs.result(record.id)
            picture = renditions.picture(service, record)
            name = f"{renditions.stem_of(record)}.{renditions.suffix_of(picture.media_type)}"
            yield name, found.over(shown_score), picture.data


def _zip(entries: Entries) -> BinaryIO:
    file = cast(BinaryIO, TemporaryFile())  # noqa: SIM115  # whoever sends it closes it
    try:
        with ZipFile(file, "w") as archive:
            for name, data in entries:
                is_picture = PurePath(name).suffix in _PICTURES
                archive.writestr(name, data, ZIP_STORED if is_picture else ZIP_DEFLATED)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


# They are compressed already.
_PICTURES = {".jpg", ".png", ".webp", ".gif"}


def _files_of(service: Service, record: Record, view: View) -> Iterator[tuple[str, bytes]]:
    stem = renditions.stem_of(record)
    drawn = renditions.drawn(service, record, view)
    yield drawn.name, drawn.data
    picture = renditions.picture(service, record)
    yield f"{stem}.{renditions.suffix_of(picture.media_type)}", picture.data
    shown = view.of_result(*service.jobs.result(record.id))
    for name, form in FORMATS.items():
        yield f"{name}/{stem}{form.suffix}", form.write(shown, record.filename)


def _folders_of(service: Service, records: Sequence[Record]) -> Iterator[tuple[str, bytes]]:
    digits = len(str(len(records)))
    for number, record in enumerate(records, 1):
        folder = f"{number:0{digits}}_{renditions.stem_of(record)}"
        with suppress(DetectionError):
            for name, data in _files_of(service, record, View()):
                yield f"{folder}/{name}", data
