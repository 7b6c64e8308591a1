"""What fills collections and what is taken from them: kept detections, uploads, a choice of pictures."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Self

from flask import Response
from werkzeug.datastructures import MultiDict

from flask_detector.collections.documents import Collection, Entry, State
from flask_detector.collections.pictures import Added, readable
from flask_detector.errors import BadParameter, CollectionError, DetectionError, PictureError, UnknownPicture
from flask_detector.formats import dataset
from flask_detector.formats.dataset import Item
from flask_detector.formats.file_names import shown_name
from flask_detector.imaging import decode
from flask_detector.jobs.records import Record
from flask_detector.jobs.states import JobStatus
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.splits import SPLITS, Split
from flask_detector.web.core import renditions
from flask_detector.web.core.archives import report_of, why_not
from flask_detector.web.core.responses import send_pieces
from flask_detector.web.core.service import Service
from flask_detector.web.core.view import View

# What stands for pictures that belong to no part.
NO_SPLIT = "none"


@dataclass
class Taken:
    """What became of pictures that were to go into a collection.

    ids: of those that are in it now.
    added: how many are new in it; the others were there.
    left_out: names and reasons.
    """

    ids: list[str] = field(default_factory=list)
    added: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


def keep(service: Service, id: str, records: Iterable[Record], view: View = View()) -> Taken:  # noqa: B008  # frozen
    """Put detections with what is shown of them into a collection, as they were corrected if they were.

    Raises what `Pictures.add` raises; then those before are in it.
    """
    taken = Taken()
    for record in records:
        try:
            if record.status is not JobStatus.DONE:
                taken.left_out.append((record.filename, why_not(record)))
                continue
            found, shown_score = service.jobs.result(record.id, corrected=False)
            said = Annotations.from_detections(found)
            _, correction = service.corrections.find(record.id)
            lowest = view.lowest(shown_score)
            annotations = replace(
                said,
                objects=tuple(o for o in said.objects if (o.score or 0) >= lowest and view.shows(o.label)),
            )
            if correction is not None and view.corrected:
                annotations = Annotations.from_json(correction)
            ids = {one.id for one in annotations.objects}
            pid, what = service.pictures.add(
                id,
                service.original(record.id),
                annotations,
                file_name=record.filename,
                said=[one for one in said.objects if one.id in ids or (one.score or 0) >= lowest],
                model=found.model,
            )
        except (DetectionError, PictureError) as error:
            taken.left_out.append((record.filename, error.message))
        else:
            taken.ids.append(pid)
            taken.added += what == "added"
    return taken


def add_upload(
    service: Service,
    id: str,
    source: BinaryIO,
    filename: str | None,
    annotations: Annotations | None = None,
    split: Split | None = None,
) -> tuple[str, Added]:
    """Put a picture that is sent into a collection; return its id, and what became of it.

    Raises PictureError, and what `Pictures.add` raises.
    """
    info = decode.check(source, service.limits)
    source.seek(0)
    objects = annotations or Annotations(info.width, info.height, (), ())
    name = shown_name(filename)
    added = service.pictures.add(id, source.read(), objects, file_name=name, split=split)
    return checked(service, id, added)


def checked(service: Service, id: str, added: tuple[str, Added]) -> tuple[str, Added]:
    """Return what became of a picture that was added, if it can be read to its end.

    Raises PictureError otherwise; then it is in the collection no more.
    """
    try:
        renditions.collected_thumbnail(service, id, added[0])  # which is shown next
    except PictureError:
        service.pictures.remove(id, [added[0]])
        raise
    return added


def copy(service: Service, id: str, entries: Iterable[Entry], into: str) -> Taken:
    """Put pictures of a collection into another one.

    What was changed there since it came stays so, and is left out. Raises what `Pictures.copy` raises, but
    for pictures that are deleted meanwhile; then those before are in it.
    """
    taken = Taken()
    for entry in entries:
        try:
            _, became = service.pictures.copy(id, entry.id, into)
        except UnknownPicture as error:
            taken.left_out.append((entry.file_name, error.message))
            continue
        if became == "there":
            taken.left_out.append((entry.file_name, "It is there already, and was changed there."))
        else:
            taken.ids.append(entry.id)
            taken.added += became == "added"
    return taken


@dataclass(frozen=True)
class Choice:
    """A choice of a collection's pictures.

    labels: pictures with an object of one of these classes; empty for all.
    split: NO_SPLIT for those that belong to no part.
    """

    state: State | None = None
    labels: frozenset[str] = frozenset()
    split: str | None = None

    @classmethod
    def of(cls, query: MultiDict[str, str]) -> Self:
        """Return the choice that a query asks for by ``state``, ``class`` and ``split``.

        Raises BadParameter.
        """
        state, split = query.get("state") or None, query.get("split") or None
        if state is not None and state not in set(State):
            raise BadParameter(f"There is no state '{state[:20]}'.", field="state")
        if split is not None and split not in {*SPLITS, NO_SPLIT}:
            raise BadParameter(f"There is no part '{split[:20]}'.", field="split")
        return cls(None if state is None else State(state), frozenset(query.getlist("class")), split)

    def of_entries(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those that are chosen."""
        return [entry for entry in entries if self._has(entry)]

    def _has(self, entry: Entry) -> bool:
        return (
            (self.state is None or entry.state is self.state)
            and (self.split is None or (entry.split or NO_SPLIT) == self.split)
            and (not self.labels or not self.labels.isdisjoint(entry.counts))
        )


def counts_by_split(entries: Sequence[Entry]) -> dict[str, int]:
    """Return how many pictures belong to each part that has some, and to none; empty without any parts."""
    numbers = Counter(entry.split or NO_SPLIT for entry in entries)
    found = {part: numbers[part] for part in (*SPLITS, NO_SPLIT) if numbers[part]}
    return {} if found.keys() <= {NO_SPLIT} else found


def export(service: Service, collection: Collection, entries: Sequence[Entry], format: str) -> Response:
    """Send pictures of a collection as one data set; it is made while it is sent, a picture at a time.

    Raises ServiceError where no place is free.
    """
    left_out: list[tuple[str, str]] = []
    has_parts = any(entry.split for entry in entries)

    def items() -> Iterator[Item]:
        for entry in entries:
            try:
                document = service.pictures.document(collection.id, entry.id)
                found = readable(document).with_labels(collection.classes)
                picture = service.pictures.picture(collection.id, entry.id)
            except CollectionError as error:  # changed or deleted by hand, or deleted meanwhile
                left_out.append((entry.file_name, error.message))
            else:
                shown = found.to_detections(document["model"] or collection.name)
                # What belongs to no part is trained with, where there are parts.
                yield entry.file_name, shown, picture, entry.split or ("train" if has_parts else None)

    pieces = dataset.stream(format, items(), report_of(left_out))
    return send_pieces(pieces, f"{collection.name}_{format}.zip", renditions.place(service))
