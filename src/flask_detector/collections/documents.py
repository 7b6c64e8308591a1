"""The files of collections, as docs/collections.md describes them, and what the index knows of a picture.

::

    collections/CID/collection.json         name, owner, classes, links
    collections/CID/pictures/PID.jpg        a picture as it was sent
    collections/CID/annotations/PID.json    its objects, and what belongs to it
    collections/CID/thumbnails/PID.jpg      a small copy, made again when it is missing

A picture is there when it has both files. Others in these folders are left alone.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self

from flask_detector.imaging import sniff
from flask_detector.storage.base import StoredFile
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.outlines import grid_of, outline_of
from flask_detector.structures.splits import SPLITS, Split

FOLDER = "collections"
PICTURES, ANNOTATIONS, THUMBNAILS = "pictures", "annotations", "thumbnails"

VERSION = 1


def path_of_picture(id: str, name: str) -> str:
    """Return the path of a picture's file that is called so."""
    return f"{FOLDER}/{id}/{PICTURES}/{name}"


_ID = re.compile(r"[0-9a-f]{32}")
_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "AVIF": "avif", "HEIF": "heic", "GIF": "gif"}
_SUFFIXES |= {"BMP": "bmp", "TIFF": "tif"}
_PICTURE_NAME = re.compile(rf"([0-9a-f]{{32}})\.({'|'.join(_SUFFIXES.values())})")
_ANNOTATIONS_NAME = re.compile(r"([0-9a-f]{32})\.json")

# Boxes on a thumbnail: of so many objects.
_MOST_OUTLINES = 50

_OF_ANNOTATIONS = ("version", "width", "height", "verified", "labels", "objects")


class State(StrEnum):
    """How far a person is with a picture."""

    UNSEEN = "unseen"
    EDITED = "edited"
    VERIFIED = "verified"


class Rights(StrEnum):
    """What a link to a collection gives."""

    READ = "read"
    EDIT = "edit"


@dataclass(frozen=True)
class Deletion:
    """Pictures that nobody is shown any more; their files go when that can't be undone any more.

    at: in seconds since 1970.
    file_name: the first one's.
    """

    at: float
    file_name: str
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class Collection:
    """What collection.json says.

    owner: as of detections; None where the id is the key to it.
    classes: in the order of their numbers in exports; pictures may have more.
    links: the token of the link that gives these rights.
    deletions: those that can be undone, by their tokens.
    is_deleted: its files are being deleted.
    """

    id: str
    name: str
    owner: str | None
    created_at: str
    classes: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    deletions: Mapping[str, Deletion] = field(default_factory=dict)
    is_deleted: bool = False

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return dumped({"version": VERSION, **asdict(self)})

    @classmethod
    def from_bytes(cls, data: bytes, id: str) -> Self:
        """Return what the file in the folder of that name says; raises ValueError for what is none."""
        document = parsed(data)
        try:
            return cls(
                id,
                str(document["name"]),
                None if document["owner"] is None else str(document["owner"]),
                str(document["created_at"]),
                tuple(map(str, document["classes"])),
                {Rights(rights): str(token) for rights, token in document["links"].items()},
                {
                    str(token): Deletion(float(one["at"]), str(one["file_name"]), tuple(one["pictures"]))
                    for token, one in document.get("deletions", {}).items()
                },
                bool(document["is_deleted"]),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a collection: {error}") from error

    def deleted(self) -> set[str]:
        """Return the ids of the pictures that are deleted and may yet be there again."""
        return {picture for one in self.deletions.values() for picture in one.pictures}


class Entry(NamedTuple):
    """What the index knows of a picture; a tuple, since ten thousand of them are made for a list.

    added_at, changed_at: ISO 8601, UTC; the latter None where nobody has changed it in the collection.
    size: of the picture's file and of its annotations', in bytes.
    counts: objects by label.
    """

    id: str
    file_name: str
    state: State
    split: Split | None
    added_at: str
    changed_at: str | None
    size: int
    width: int
    height: int
    counts: Mapping[str, int]

    @classmethod
    def of(cls, id: str, document: Mapping[str, Any], size: int) -> Self:
        """Return what is to be known of the annotations file of a picture; raises ValueError for none."""
        try:
            split = document["split"]
            if split is not None and split not in SPLITS:
                raise ValueError("no such split")
            return cls(
                id,
                str(document["file_name"]),
                State(document["state"]),
                split,
                str(document["added_at"]),
                None if document["changed_at"] is None else str(document["changed_at"]),
                size,
                int(document["width"]),
                int(document["height"]),
                dict(Counter(str(one["label"]) for one in document["objects"]).most_common()),
            )
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"not a picture's annotations: {error!r}") from error

    @classmethod
    def read(cls, values: Sequence[bytes]) -> list[Self]:
        """Return entries as the index keeps them, all read at once."""
        states = {state.value: state for state in State}
        found = []
        for id, file_name, state, *others in json.loads(b"[%b]" % b",".join(values)):
            found.append(cls(id, file_name, states[state], *others))
        return found


class Details(NamedTuple):
    """What the index knows of a picture besides, too much to be read for a list.

    file, picture_size: of the picture's file, its name and bytes.
    stamps: of that and of the annotations' file; see `StoredFile`.
    grid: width and height of the grid that the outlines are on.
    outlines: the boxes of the first objects as the data of one SVG path a label.
    """

    file: str
    picture_size: int
    stamps: tuple[str, str]
    grid: tuple[int, int]
    outlines: Mapping[str, str]

    @classmethod
    def of(cls, document: Mapping[str, Any], kept: StoredFile, written: StoredFile) -> Self:
        """Return what is to be known of the files of a picture; raises ValueError for what is none."""
        try:
            width, height = int(document["width"]), int(document["height"])
            outlines: dict[str, str] = {}
            for one in document["objects"][:_MOST_OUTLINES]:
                outline = outline_of(one["box"], width, height)
                outlines[one["label"]] = f"{outlines.get(one['label'], '')}{outline}"
            stamps = kept.stamp, written.stamp
            return cls(kept.name, kept.size, stamps, grid_of(width, height), outlines)
        except (KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"not a picture's annotations: {error!r}") from error

    @classmethod
    def read(cls, value: bytes) -> Self:
        """Return details as the index keeps them."""
        file, picture_size, stamps, grid, outlines = json.loads(value)
        return cls(file, picture_size, tuple(stamps), tuple(grid), outlines)


def compact(value: Any) -> bytes:
    """Return a value as the index keeps it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def annotations_in(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an annotations file that is `structures.annotations`' document."""
    return {name: document[name] for name in _OF_ANNOTATIONS}


def known_in(document: Mapping[str, Any]) -> Annotations:
    """Return the objects that a correction may refer to: what the model said, then what else is there by now.

    Raises AnnotationError.
    """
    ids = {one["id"] for one in document["said"]}
    others = [one for one in document["objects"] if one["id"] not in ids]
    objects = [*document["said"], *others]
    return Annotations.from_json({**annotations_in(document), "labels": [], "objects": objects})


def state_of(annotations: Annotations, *, is_changed: bool) -> State:
    """Return how far a person is with a picture.

    is_changed: whether a person has changed the annotations in the collection.
    """
    objects = annotations.objects
    if annotations.verified or (objects and all(one.verified for one in objects)):
        return State.VERIFIED
    is_changed = is_changed or any(one.source == "person" for one in objects)
    return State.EDITED if is_changed else State.UNSEEN


def picture_id(file_name: str, picture: bytes) -> str:
    """Return the id of a picture: of its content and its name, so that adding it again makes no double."""
    name = file_name.encode("utf-8", "replace")
    return hashlib.sha256(hashlib.sha256(name).digest() + hashlib.sha256(picture).digest()).hexdigest()[:32]


def picture_name(id: str, picture: bytes) -> str:
    """Return what a picture's file is called."""
    return f"{id}.{_SUFFIXES[sniff.format_of(picture[: sniff.HEAD_BYTES]) or 'JPEG']}"


def is_id(text: str) -> bool:
    """Return whether a text looks like the id of a collection or a picture."""
    return _ID.fullmatch(text) is not None


def id_in_picture_name(name: str) -> str | None:
    """Return the id that the file of a picture is called by; None for another file."""
    match = _PICTURE_NAME.fullmatch(name)
    return match[1] if match else None


def id_in_annotations_name(name: str) -> str | None:
    """Return the id that an annotations file is called by; None for another file."""
    match = _ANNOTATIONS_NAME.fullmatch(name)
    return match[1] if match else None


def dumped(document: Mapping[str, Any]) -> bytes:
    """Return a document as a file that a person can read."""
    return f"{json.dumps(document, ensure_ascii=False, indent=1)}\n".encode("utf-8", "replace")


def parsed(data: bytes) -> dict[str, Any]:
    """Return the document in a file; raises ValueError."""
    document = json.loads(data)
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError("not a document of a known version")
    return document
