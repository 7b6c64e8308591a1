"""The API's blueprint, and what each of its functions says of itself, for openapi.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from flask import Blueprint
from pydantic import BaseModel

from flask_detector.errors import DetectorError
from flask_detector.web.core.auth import key_of_request

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")

View = TypeVar("View", bound=Callable[..., Any])

JSON = "application/json"

TAGS = ("Detections", "Files", "Batches", "Installation")
Tag = Literal["Detections", "Files", "Batches", "Installation"]


@dataclass(frozen=True)
class Answer:
    """One answer of an operation that is no error.

    form: the type that the JSON is of; None for other media types, or for no content at all.
    headers: what they say, by name.
    """

    description: str
    form: Any = None
    media_types: tuple[str, ...] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """What a function of the API does.

    answers: by status.
    errors: those that may come besides the ones that any operation may have.
    query, headers: models whose fields are parameters.
    body: for each media type the model of the request's body, or None for bare bytes.
    example: what follows ``curl`` to try it; $API is the address of the API.
    """

    summary: str
    tag: Tag
    answers: Mapping[int, Answer]
    errors: tuple[type[DetectorError], ...] = ()
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    body: Mapping[str, type[BaseModel] | None] = field(default_factory=dict)
    example: str = ""


OPERATIONS: dict[str, Operation] = {}


def get(path: str, operation: Operation) -> Callable[[View], View]:
    """Make a function answer GET, and describe it."""
    return _described("GET", path, operation)


def post(path: str, operation: Operation) -> Callable[[View], View]:
    """Make a function answer POST, and describe it."""
    return _described("POST", path, operation)


def delete(path: str, operation: Operation) -> Callable[[View], View]:
    """Make a function answer DELETE, and describe it."""
    return _described("DELETE", path, operation)


def _described(method: str, path: str, operation: Operation) -> Callable[[View], View]:
    def add(view: View) -> View:
        OPERATIONS[f"{blueprint.name}.{view.__name__}"] = operation
        blueprint.add_url_rule(path, view_func=view, methods=[method])
        return view

    return add


@blueprint.before_request
def _check_key() -> None:
    key_of_request()
