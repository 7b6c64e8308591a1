"""OpenAPI 3.1, generated from the declarations and types of the operations.

A generator of our own: the types are pydantic's and typing's already, and their JSON schema is what OpenAPI
3.1 speaks. Libraries that do this (apiflask, flask-openapi3, spectree) bring a second way to read requests,
which can't take a picture as bare bytes, form or JSON at one path, and viewers from elsewhere.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Flask
from pydantic import BaseModel, TypeAdapter

from flask_detector import errors
from flask_detector._version import __version__
from flask_detector.formats import FORMATS
from flask_detector.jobs.schema import Error
from flask_detector.web.api.operations import JSON, OPERATIONS, TAGS, Operation, Success
from flask_detector.web.core.errors import status_of
from flask_detector.web.middleware import rate_limits

_ALWAYS = (errors.KeyMissing, errors.UnknownKey, errors.RateLimited, errors.BrokerUnavailable)
_PARAMETER = re.compile(r"<(?:(\w+)(?:\(([^)]*)\))?:)?(\w+)>")

_DESCRIPTION = """\
Send pictures, get what is in them: boxes, labels, scores and, with a model that has them, masks.

Every error has the form of `Error`, with a code of a closed list. Answers of limited operations carry \
`RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`; 429 and 503 come with `Retry-After`."""


def document(app: Flask) -> dict[str, Any]:
    """Return the description of the application's API."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        operation = OPERATIONS.get(rule.endpoint)
        if operation is not None:
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            path = _PARAMETER.sub(r"{\3}", rule.rule)
            paths.setdefault(path, {})[method.lower()] = _operation(
                rule.endpoint, rule.rule, operation, schemas
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": "flask-detector", "version": __version__, "description": _DESCRIPTION},
        "security": [{}, {"bearer": []}, {"header": []}],
        "tags": [{"name": name} for name in TAGS],
        "paths": paths,
        "components": {
            "schemas": _closed(dict(sorted(schemas.items()))),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
                "header": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "An API key.",
                },
            },
        },
    }


class _Schemas(dict[str, Any]):
    """The JSON schemas of the types that are asked for, by name."""

    def of(self, kind: Any) -> dict[str, Any]:
        """Return the schema of a type, as a reference where it has a name."""
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        by_key, rest = TypeAdapter.json_schemas(
            [(0, "validation", adapter)], ref_template="#/components/schemas/{model}"
        )
        self.update(rest.get("$defs", {}))
        return by_key[0, "validation"]


def _operation(endpoint: str, rule: str, operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    parameters = [*_path_parameters(rule)]
    for place, model in (("query", operation.query), ("header", operation.headers)):
        if model is not None:
            parameters += _parameters(place, model)
    form: dict[str, Any] = {
        "operationId": endpoint.partition(".")[2],
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": parameters,
        "responses": {
            **{str(status): _success(success, schemas) for status, success in operation.responses.items()},
            **_errors((*operation.errors, *_ALWAYS), schemas),
            **_OF_THE_SERVER,
        },
        "x-curl": f"curl {operation.example}",
    }
    if operation.body:
        form["requestBody"] = {
            "required": operation.body_required,
            "content": {
                media_type: {"schema": _BYTES if model is None else schemas.of(model)}
                for media_type, model in operation.body.items()
            },
        }
    return form


_BYTES = {"type": "string", "format": "binary"}


# What gunicorn itself refuses, before the program sees the request.
_OF_THE_SERVER = {
    "414": {"description": "The URL is longer than 4094 characters", "content": {"text/plain": {}}},
    "431": {"description": "A header is longer than 8190 characters", "content": {"text/plain": {}}},
}


def _path_parameters(rule: str) -> Iterator[dict[str, Any]]:
    for _, choices, name in _PARAMETER.findall(rule):
        schema: dict[str, Any] = {"type": "string"}
        if choices:
            schema["enum"] = choices.split(",")
        if name == "format":
            schema["enum"] = list(FORMATS)
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _parameters(place: str, model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    form = model.model_json_schema()
    for name, schema in form["properties"].items():
        required = name in form.get("required", [])
        described = {key: value for key, value in schema.items() if key not in {"title", "description"}}
        yield {
            "name": name,
            "in": place,
            "required": required,
            "description": schema.get("description", ""),
            "schema": _without_null(described),
        }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: where it may be missing, it is never null."""
    choices = [choice for choice in schema.pop("anyOf", []) if choice != {"type": "null"}]
    if schema.get("default", ...) is None:
        del schema["default"]
    return {**schema, **choices[0]} if choices else schema


def _success(success: Success, schemas: _Schemas) -> dict[str, Any]:
    form: dict[str, Any] = {"description": success.description}
    headers = {**success.headers, **rate_limits.HEADERS}
    form["headers"] = {
        name: {"description": words, "schema": {"type": "string"}} for name, words in headers.items()
    }
    if success.media_types:
        content = {} if success.schema is None else {"schema": schemas.of(success.schema)}
        form["content"] = {media_type.partition(";")[0]: content for media_type in success.media_types}
    return form


def _errors(kinds: tuple[type[errors.DetectorError], ...], schemas: _Schemas) -> dict[str, Any]:
    by_status: dict[HTTPStatus, list[type[errors.DetectorError]]] = {}
    for kind in dict.fromkeys(kinds):
        by_status.setdefault(status_of(kind), []).append(kind)
    return {
        str(status.value): {
            "description": "  \n".join(f"`{kind.code}`: {_words(kind)}" for kind in by_status[status]),
            "content": {JSON: {"schema": schemas.of(Error)}},
        }
        for status in sorted(by_status)
    }


def _words(kind: type[errors.DetectorError]) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def _closed(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas with the closed list of codes in the one of errors."""
    codes = sorted({*errors.codes(), "not_found", "method_not_allowed"})
    schemas["ErrorFacts"]["properties"]["code"]["enum"] = codes
    return schemas
