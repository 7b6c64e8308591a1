"""ZIP files of a detection or a batch: pictures, drawn pictures and exports.

The pictures of a batch may be larger than the memory, and than any temporary file should be: their ZIP is
made while it is sent.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from flask import Response

from flask_detector.errors import DetectionError, PictureError
from flask_detector.formats import FORMATS, dataset
from flask_detector.formats.dataset import Item
from flask_detector.formats.dataset_zip import Outlet
from flask_detector.formats.file_names import safe_stem
from flask_detector.jobs.batches import Batch
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.detections import Detections
from flask_detector.web.core import renditions
from flask_detector.web.core.responses import send_pieces
from flask_detector.web.core.service import Service
from flask_detector.web.core.view import View

# For reading; the others are for training and for labelling tools.
_FOR_READING = ("json", "csv", "geojson")

FORMAT_GROUPS = {
    "Data": [name for name in FORMATS if name in _FOR_READING],
    "For training and labelling": [name for name in FORMATS if name not in _FOR_READING],
}

# The file in a batch's ZIP that says what is not in it.
LEFT_OUT = "left_out.txt"

Entries = Iterable[tuple[str, bytes]]


def of_detection(service: Service, record: Record, view: View, name: str) -> Response:
    """Send a ZIP of the drawn picture, the picture, and what is shown of the result in each format."""
    return send_pieces(_zip(_files_of(service, record, view)), name, renditions.place(service))


def of_batch(service: Service, selected: "Selected", view: View, name: str) -> Response:
    """Send what is shown of a batch's detections that are done as a ZIP of that name, a folder for each.

    Raises what `data_set` raises.
    """
    return send_pieces(_zip(_folders_of(service, selected, view)), name, renditions.place(service))


def data_set(
    service: Service,
    selected: "Selected",
    format: str,
    view_of: Callable[[Detections], View],
    *,
    corrected: bool = True,
) -> Response:
    """Send a batch's detections that are done as one data set, with the pictures as they came.

    It is made while it is sent, one picture at a time, in a place for requests that make pictures.

    format: a key of FORMATS.
    view_of: what goes in of a result.
    corrected: whether results go in as people have corrected them, or as the models said.

    Raises ServiceError where no place is free.
    """

    def items() -> Iterator[Item]:
        for record in selected:
            with selected.unless_gone(record):
                found, shown_score = service.jobs.result(record.id, corrected=corrected)
                picture = service.original(record.id)
                yield record.filename, view_of(found).of_result(found, shown_score), picture

    pieces = dataset.stream(format, items(), selected.report())
    return send_pieces(pieces, f"{len(selected)}_{format}.zip", renditions.place(service))


class Selected:
    """Those of a batch's pictures that go into its file, in their order, and why the others don't.

    A file takes a while, and what is in it may be deleted meanwhile: that is no error, it is left out.

    records: those of the batch that there still are.
    """

    def __init__(self, batch: Batch, records: Sequence[Record]) -> None:
        self._records = [record for record in records if record.status is JobStatus.DONE]
        self._left_out = [(one.filename, one.failure.message) for one in batch.refused]
        self._left_out += [
            (one.filename, why_not(one)) for one in records if one.status is not JobStatus.DONE
        ]
        if deleted := len(batch.detections) - len(records):
            self._left_out.append((f"{deleted} of them", "Deleted, or expired."))

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    @contextmanager
    def unless_gone(self, record: Record) -> Iterator[None]:
        """Leave the picture out if the block finds that it is gone, or can't be used any more."""
        try:
            yield
        except (DetectionError, PictureError) as error:
            self._left_out.append((record.filename, str(error)))

    def report(self) -> Iterator[tuple[str, bytes]]:
        """Yield a file that names what was left out, if anything was; to be asked for last."""
        return report_of(self._left_out)


def report_of(left_out: Sequence[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    """Yield a file that names what was left out and why, if anything was by the time that it is asked for."""
    if left_out:
        lines = [f"{name}: {reason}\n" for name, reason in left_out]
        yield LEFT_OUT, "".join(["These pictures are not in this file:\n", *lines]).encode()


def why_not(record: Record) -> str:
    """Return why a detection that is not done has no result."""
    if record.failure is not None:
        return record.failure.message
    return "Cancelled." if record.status is JobStatus.CANCELLED else "Not detected yet."


def _zip(entries: Entries) -> Iterator[bytes]:
    outlet = Outlet()
    with ZipFile(outlet, "w") as archive:
        for name, data in entries:
            is_picture = PurePath(name).suffix in _PICTURES
            archive.writestr(name, data, ZIP_STORED if is_picture else ZIP_DEFLATED)
            yield outlet.taken()
    yield outlet.taken()


# They are compressed already.
_PICTURES = {".jpg", ".png", ".webp", ".gif"}


def _files_of(service: Service, record: Record, view: View) -> Iterator[tuple[str, bytes]]:
    stem = safe_stem(record.filename)
    drawn = renditions.drawn(service, record, view)
    yield f"detected_{stem}.{renditions.suffix_of(drawn.media_type)}", drawn.data
    picture = renditions.picture(service, record)
    yield f"{stem}.{renditions.suffix_of(picture.media_type)}", picture.data
    shown = view.of_result(*service.jobs.result(record.id, corrected=view.corrected))
    for name, form in FORMATS.items():
        yield f"{name}/{stem}{form.suffix}", form.write(shown, record.filename)


def _folders_of(service: Service, selected: Selected, view: View) -> Iterator[tuple[str, bytes]]:
    digits = len(str(len(selected)))
    for number, record in enumerate(selected, 1):
        folder = f"{number:0{digits}}_{safe_stem(record.filename)}"
        with selected.unless_gone(record):
            # All of one picture before the first of it goes in: a folder is whole or not there.
            files = list(_files_of(service, record, view))
            yield from ((f"{folder}/{name}", data) for name, data in files)
    yield from selected.report()
