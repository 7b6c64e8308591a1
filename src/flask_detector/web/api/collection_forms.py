"""Parameters and JSON responses of collections."""

from typing import Annotated, Literal

from flask import url_for
from pydantic import Field
from typing_extensions import TypedDict

from flask_detector.collections.classes import counts_of
from flask_detector.collections.documents import Collection, Entry
from flask_detector.collections.index import Sums
from flask_detector.structures.splits import Split
from flask_detector.web.api.params import Score, Strict
from flask_detector.web.core.collecting import Taken, counts_by_split
from flask_detector.web.core.importing import Imported
from flask_detector.web.core.service import service

Name = Annotated[str, Field(min_length=1, max_length=100)]
CURSOR = r"^[0-9TZ:.+-]{1,40}_[0-9a-f]{32}$"


class NewCollection(Strict):
    """A collection that is to be made."""

    name: Annotated[Name, Field(description="What people call it, in any script.")]
    classes: Annotated[
        tuple[Name, ...],
        Field(description="Classes in the order of their numbers in exports.", max_length=5000),
    ] = ()


class NewName(Strict):
    """Another name for a collection."""

    name: Name


class Kept(Strict):
    """Detections that are to stay."""

    detections: Annotated[tuple[str, ...], Field(description="Their ids.", max_length=1000)] = ()
    batches: Annotated[tuple[str, ...], Field(description="Ids of batches, for all their detections.")] = ()
    min_score: Annotated[
        Score | None, Field(description="Of what no person has corrected; that of each detection by default.")
    ] = None


class ClassChange(Strict):
    """A class that is to be called otherwise."""

    old: Annotated[Name, Field(description="The class.")]
    new: Annotated[Name, Field(description="Its new name; one that another class has merges both.")]


class SplitOptions(Strict):
    """How to part pictures."""

    validation: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="The share for validation.")
    ] = 0.2
    seed: Annotated[int, Field(ge=0, le=2**31, description="Another one parts otherwise.")] = 0
    again: Annotated[bool, Field(description="Also what belongs to a part already.")] = False


class PictureChange(Strict):
    """What is to be changed of a picture."""

    split: Annotated[Split | None, Field(description="The part that it belongs to; null for none.")]


class ChoiceQuery(Strict):
    """Which pictures of a collection."""

    state: Annotated[
        Literal["unseen", "edited", "verified"] | None, Field(description="How far a person is with them.")
    ] = None
    label: Annotated[
        str | None, Field(alias="class", description="Those with an object of that class.", max_length=100)
    ] = None
    split: Annotated[Split | Literal["none"] | None, Field(description="The part that they belong to.")] = (
        None
    )


class PictureListQuery(ChoiceQuery):
    """Which page of a list of pictures to return."""

    limit: Annotated[int, Field(ge=1, le=1000, description="The page size.")] = 100
    cursor: Annotated[
        str | None, Field(description="`next_cursor` of the previous page.", pattern=CURSOR)
    ] = None


class ClassCount(TypedDict):
    """A class and its objects."""

    name: str
    objects: int


class CollectionSummary(TypedDict):
    """A collection in a list."""

    id: str
    name: str
    created_at: str
    pictures: int
    bytes: Annotated[int, Field(description="Of its files.")]
    states: Annotated[dict[str, int], Field(description="How many pictures are in each state.")]
    url: str


class CollectionResponse(CollectionSummary):
    """A collection, with what is counted over its pictures."""

    classes: Annotated[list[ClassCount], Field(description="In the order of their numbers in exports.")]
    splits: Annotated[
        dict[str, int], Field(description="How many pictures belong to each part; empty without parts.")
    ]
    links: Annotated[dict[str, str], Field(description="URLs of the pages that are shared, by their rights.")]


class CollectionList(TypedDict):
    """Collections, the newest first."""

    collections: list[CollectionSummary]


class PictureResponse(TypedDict):
    """A picture of a collection."""

    id: str
    filename: str
    state: Annotated[
        Literal["unseen", "edited", "verified"], Field(description="How far a person is with it.")
    ]
    split: Split | None
    width: int
    height: int
    counts: Annotated[dict[str, int], Field(description="Objects by class.")]
    bytes: Annotated[int, Field(description="Of its files.")]
    added_at: str
    changed_at: Annotated[str | None, Field(description="When a person changed it in the collection last.")]
    url: str
    image: str
    annotations: str


class PicturePage(TypedDict):
    """A part of a list, in the order in which pictures were added."""

    pictures: list[PictureResponse]
    total: Annotated[int, Field(description="How many there are in all pages.")]
    next_cursor: Annotated[str | None, Field(description="Ask for what follows with it; null at the end.")]


class LeftOut(TypedDict):
    """Something that was not taken in."""

    name: str
    reason: str


class AddedResponse(TypedDict):
    """What became of what was to go into a collection."""

    pictures: Annotated[list[str], Field(description="Ids of those that are in it now.")]
    added: Annotated[int, Field(description="How many of them are new in it.")]
    left_out: list[LeftOut]


class ImportedResponse(TypedDict):
    """What became of a data set."""

    format: Annotated[str, Field(description="What it was recognised as.")]
    pictures: Annotated[int, Field(description="How many of its pictures are in the collection now.")]
    added: Annotated[int, Field(description="How many of them are new in it.")]
    left_out: Annotated[list[LeftOut], Field(description="Files and objects that were not imported.")]
    changed: Annotated[list[LeftOut], Field(description="What was imported, but not as it was.")]


class ChangedPictures(TypedDict):
    """How much was changed."""

    pictures: int


def summary_form(collection: Collection, sums: Sums) -> CollectionSummary:
    """Return the form of a collection in a list."""
    return {
        "id": collection.id,
        "name": collection.name,
        "created_at": collection.created_at,
        "pictures": sums.pictures,
        "bytes": sums.size,
        "states": {state.value: number for state, number in sums.states.items()},
        "url": url_for("api.show_collection", id=collection.id),
    }


def collection_form(collection: Collection) -> CollectionResponse:
    """Return the form of a collection."""
    entries = service().pictures.entries(collection.id)
    classes = counts_of(collection, entries)
    return {
        **summary_form(collection, service().collections.sums(collection.id)),
        "classes": [{"name": name, "objects": number} for name, number in classes.items()],
        "splits": counts_by_split(entries),
        "links": {rights: link_url(token) for rights, token in collection.links.items()},
    }


def link_url(token: str) -> str:
    """Return the URL of the page that a link opens."""
    return url_for("shared_collection.show", key=token, _external=True)


def picture_form(collection: str, entry: Entry) -> PictureResponse:
    """Return the form of a picture."""

    def url(endpoint: str) -> str:
        return url_for(f"api.{endpoint}", id=collection, picture=entry.id)

    return {
        "id": entry.id,
        "filename": entry.file_name,
        "state": entry.state.value,
        "split": entry.split,
        "width": entry.width,
        "height": entry.height,
        "counts": dict(entry.counts),
        "bytes": entry.size,
        "added_at": entry.added_at,
        "changed_at": entry.changed_at,
        "url": url("show_picture"),
        "image": url("picture_file"),
        "annotations": url("show_picture_annotations"),
    }


def added_form(taken: Taken) -> AddedResponse:
    """Return the form of what became of pictures."""
    return {"pictures": taken.ids, "added": taken.added, "left_out": _remarks(taken.left_out)}


def imported_form(imported: Imported) -> ImportedResponse:
    """Return the form of what became of a data set."""
    return {
        "format": imported.format,
        "pictures": len(imported.ids),
        "added": imported.added,
        "left_out": _remarks(imported.left_out),
        "changed": _remarks(imported.changed),
    }


def _remarks(remarks: list[tuple[str, str]]) -> list[LeftOut]:
    return [{"name": name, "reason": reason} for name, reason in remarks]
