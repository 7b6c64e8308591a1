"""What to correct next in a collection: the pictures that a model is least sure of."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from flask_detector.broker.connection import reaching_redis
from flask_detector.collections.documents import Collection, Entry
from flask_detector.errors import DetectionExpired, UnknownDetection
from flask_detector.jobs.queue import new_id
from flask_detector.jobs.records import Failure
from flask_detector.structures.doubt import unsure_first
from flask_detector.web.core.service import Service, client_of


@dataclass(frozen=True)
class Look:
    """How far a model has looked at the pictures of a collection.

    doubts: by picture, of those that it has looked at; see `structures.doubt`.
    left: how many it is still to look at, while it does.
    failure: why it ended early.
    """

    model: str
    doubts: Mapping[str, float]
    left: int = 0
    failure: Failure | None = None

    def doubt(self, entry: Entry) -> float:
        """Return how much the model is in doubt about a picture; 0 if it has not looked at it."""
        return self.doubts.get(entry.id, 0.0)

    def unsure_first(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the pictures of which the model is in doubt, most first."""
        return unsure_first(entries, self.doubt)

    def missing(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the pictures that it has not looked at."""
        return [entry for entry in entries if entry.id not in self.doubts]


def model_for(service: Service, collection: str) -> str:
    """Return the model of whoever names none: the newest one taught from the collection, or else auto's."""
    installed = service.models.installed()
    taught = (run.request for run in service.lessons.all() if run.request.collection == collection)
    return next((one.name for one in taught if one.name in installed), service.available.default())


def look_of(service: Service, collection: str, model: str) -> Look:
    """Return how far a model has looked at the pictures of a collection."""
    id = service.doubts.job(collection, model)
    doubts = service.doubts.of(collection, model)
    with suppress(UnknownDetection, DetectionExpired):
        if id is not None:
            record = service.jobs.find(id)
            left = 0 if record.status.is_final else service.doubts.left(collection, model) or 1
            return Look(model, doubts, left, record.failure)
    return Look(model, doubts)


def begin(service: Service, collection: Collection, model: str, entries: Sequence[Entry]) -> None:
    """Have a model look at those of the pictures that it has not looked at, unless it is at work.

    Raises UnknownModel, ModelNotInstalled, QueueFull, ShareUsedUp or ServiceError.
    """
    service.available.check(model)
    look = look_of(service, collection.id, model)
    paths = service.pictures.paths(collection.id, look.missing(entries))
    if look.left or not paths:
        return
    id, client = new_id(), client_of(collection.owner)
    service.jobs.check_room(model, client)
    with reaching_redis(), service.connection.pipeline() as pipeline:
        service.jobs.enqueue_doubts(id, collection.id, model, client, pipeline)
        service.doubts.begin(collection.id, model, paths, id, pipeline)
        pipeline.execute()


def stop(service: Service, collection: str, model: str) -> None:
    """Have a model look at no more pictures; what it has found out stays."""
    with suppress(UnknownDetection, DetectionExpired):
        if (id := service.doubts.job(collection, model)) is not None:
            service.jobs.cancel(id)
