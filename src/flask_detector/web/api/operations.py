"""The API's blueprint, and what each of its operations declares for openapi.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from flask import Blueprint
from pydantic import BaseModel

from flask_detector.errors import DetectorError
from flask_detector.web.core.auth import key_of_request

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")

View = TypeVar("View", bound=Callable[..., Any])

JSON = "application/json"

# The modules of the operations, in the order of the documentation.
TAGS = (
    "Detections", "Annotations", "Files", "Batches", "Links", "Collections", "Pictures", "Doubts",
    "Models", "Teaching",
)  # fmt: skip


@dataclass(frozen=True)
class Success:
    """A response of an operation that is no error.

    schema: the type of its JSON; None for other media types, or for no content at all.
    headers: their descriptions by name.
    """

    description: str
    schema: Any = None
    media_types: tuple[str, ...] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict)


UNCHANGED = Success("The client has it already", media_types=())
DELETED = Success("It is deleted", media_types=())


@dataclass(frozen=True)
class Operation:
    """A function of the API as OpenAPI describes it.

    summary: the first line of the function's docstring.
    tag: the module that it stands in.
    responses: by status.
    errors: those that may come besides the ones that any operation may have.
    query, headers: models whose fields are parameters.
    body: for each media type the type of the request's body, or None for bare bytes.
    body_required: false where a request without a body has a meaning of its own.
    example: what follows ``curl`` to try it; $API is the URL of the API.
    """

    summary: str
    tag: str
    responses: Mapping[int, Success]
    example: str
    errors: tuple[type[DetectorError], ...] = ()
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    body: Mapping[str, type[Any] | None] = field(default_factory=dict)
    body_required: bool = True


OPERATIONS: dict[str, Operation] = {}


@blueprint.before_request
def _check_key() -> None:
    key_of_request()


def _route(method: str, path: str, **declared: Any) -> Callable[[View], View]:
    """Register a function for a method and path, and describe it by an Operation's other fields."""

    def add(view: View) -> View:
        summary = (view.__doc__ or "").partition("\n")[0].removesuffix(".")
        tag = view.__module__.rpartition(".")[2].capitalize()
        OPERATIONS[f"{blueprint.name}.{view.__name__}"] = Operation(summary, tag, **declared)
        blueprint.add_url_rule(path, view_func=view, methods=[method])
        return view

    return add


get, post, put, patch, delete = (
    partial(_route, method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
)
