"""Data sets that are put into collections, and how far that is.

A page's import goes on in a thread of its own when its request has been answered. How far it is, and how it
ended, is kept in Redis for a day, so that it can be looked at from everywhere. What is cut off is completed
by doing it again: the same picture is one picture.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, cast

from flask_detector.broker.connection import reaching_redis
from flask_detector.errors import BrokerUnavailable, DetectorError, PictureError, ServiceError
from flask_detector.formats.file_names import safe_name, shown_name
from flask_detector.web.core.collecting import Taken, checked
from flask_detector.web.core.service import Service

if TYPE_CHECKING:
    from flask_detector.datasets import Dataset

log = logging.getLogger(__name__)

MOST_BYTES = 2_000_000_000
"""Of the ZIP of a data set."""

_KEPT_SECONDS = 24 * 3600
_WRITTEN_EACH_SECONDS = 0.5

# The process that imports has ended when it has written nothing for so long.
_SILENT_SECONDS = 60


@dataclass
class Imported(Taken):
    """What became of a data set.

    format: what people call it.
    changed: names and remarks of what was taken in, but not as it was.
    """

    format: str = ""
    changed: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Import:
    """How far a data set is on its way into a collection, or how that ended.

    name: of its file.
    seen: how many of its `total` picture files were looked at; their number is 0 where labels have them.
    pictures: how many are in the collection now; `added` of them are new there.
    left_out, changed: names and reasons; complete at the end.
    message, hint: why it ended early; empty where it did not.
    written_at: in seconds since 1970.
    """

    name: str
    format: str
    total: int
    seen: int = 0
    pictures: int = 0
    added: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    message: str = ""
    hint: str = ""
    has_ended: bool = False
    written_at: float = 0.0

    @property
    def fraction(self) -> float | None:
        """In 0..1; None where it is not known."""
        return min(self.seen / self.total, 1.0) if self.total else None


class _Cancelled(Exception):
    """Somebody has asked for it."""


def import_dataset(service: Service, id: str, name: str, write: Callable[[IO[bytes]], None]) -> Imported:
    """Put the pictures of a data set in a ZIP into a collection, one by one.

    name: what messages call it.
    write: writes the ZIP to a file.

    Raises DatasetError, and what `Pictures.add` raises; then those before
    are in it, and doing it again takes in the others.
    """
    from flask_detector.datasets import open_dataset  # few processes ever need what it needs

    imported = Imported()
    with TemporaryDirectory() as folder:
        path = Path(folder, safe_name(name))
        with path.open("wb") as file:
            write(file)
        with open_dataset(path, limits=service.limits) as dataset:
            _take_in(service, id, dataset, imported, lambda: None)
    return imported


def begin(service: Service, id: str, path: Path, name: str, held: ExitStack) -> None:
    """Begin to put the pictures of a data set in a ZIP into a collection.

    name: what it is called.
    held: what is to be let go when it ends, as the ZIP; where nothing begins it stays the caller's.

    Raises DatasetError, and ServiceError where the collection has one under way.
    """
    from flask_detector.datasets import open_dataset

    before = find(service, id)
    if before is not None and not before.has_ended:
        raise ServiceError("Another data set is being imported into this collection.")
    dataset = held.enter_context(open_dataset(path, limits=service.limits))
    state = Import(shown_name(name), dataset.format, dataset.total)
    with reaching_redis():
        service.connection.delete(_cancelled_key(id))
    _write(service, id, state)
    kept = held.pop_all()
    threading.Thread(
        target=_run, args=(service, id, dataset, state, kept), name=f"import {id}", daemon=True
    ).start()


def find(service: Service, id: str) -> Import | None:
    """Return what is being imported into a collection, or was last, unless that was dismissed."""
    with reaching_redis():
        data = cast(bytes | None, service.connection.get(_key(id)))
    if data is None:
        return None
    found = Import(**json.loads(data))
    if not found.has_ended and time.time() - found.written_at > _SILENT_SECONDS:
        found.has_ended = True
        found.message, found.hint = "It was interrupted.", "To complete it, import the same ZIP again."
    return found


def cancel(service: Service, id: str) -> None:
    """Have an import end; what it has brought stays."""
    with reaching_redis():
        service.connection.set(_cancelled_key(id), "", ex=_SILENT_SECONDS)


def dismiss(service: Service, id: str) -> None:
    """Say no more of how an import ended."""
    with reaching_redis():
        service.connection.delete(_key(id))


def _run(service: Service, id: str, dataset: "Dataset", state: Import, held: ExitStack) -> None:
    imported = Imported()

    def report() -> None:
        if time.time() - state.written_at > _WRITTEN_EACH_SECONDS:
            _describe(state, dataset, imported)
            _write(service, id, state)
            with reaching_redis():
                if service.connection.exists(_cancelled_key(id)):
                    raise _Cancelled

    with held:
        try:
            _take_in(service, id, dataset, imported, report)
        except _Cancelled:
            state.message = "It was cancelled."
        except DetectorError as error:
            state.message, state.hint = error.message, error.hint
        except Exception:
            log.exception("a data set could not be imported")
            state.message, state.hint = "Something went wrong on the server.", "Its log says what."
        _describe(state, dataset, imported)
        state.left_out, state.changed = imported.left_out, imported.changed
        state.has_ended = True
        with suppress(BrokerUnavailable):  # then it looks interrupted, and says so
            _write(service, id, state)


def _describe(state: Import, dataset: "Dataset", imported: Imported) -> None:
    state.seen, state.pictures, state.added = dataset.seen, len(imported.ids), imported.added


def _write(service: Service, id: str, state: Import) -> None:
    state.written_at = time.time()
    with reaching_redis():
        service.connection.set(_key(id), json.dumps(asdict(state)), ex=_KEPT_SECONDS)


def _take_in(
    service: Service, id: str, dataset: "Dataset", imported: Imported, on_picture: Callable[[], None]
) -> None:
    """Put a data set's pictures into a collection.

    on_picture: called after each.
    """
    imported.format = dataset.format
    refused: list[tuple[str, str]] = []
    try:
        for one in dataset:
            try:
                added = service.pictures.add(
                    id,
                    one.data,
                    one.annotations,
                    file_name=shown_name(one.name),
                    split=one.split,
                    classes=one.annotations.labels,
                )
                pid, became = checked(service, id, added)
            except PictureError as error:
                refused.append((one.path, f"can't be used: {error.message}"))
            else:
                imported.ids.append(pid)
                imported.added += became == "added"
            on_picture()
    finally:
        imported.left_out = [(remark.where, remark.reason) for remark in dataset.left_out] + refused
        imported.changed = [(remark.where, remark.reason) for remark in dataset.changed]


def _key(id: str) -> str:
    return f"flask-detector:collection-import:{id}"


def _cancelled_key(id: str) -> str:
    return f"flask-detector:collection-import-cancelled:{id}"
