"""What a setting's value may be, and how an error says so."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, Field
from pydantic.fields import FieldInfo

MEGABYTE = 1_000_000

# A shell writes the home folder for `~`; a file of environment variables does not.
HomePath = Annotated[Path, AfterValidator(Path.expanduser)]


@dataclass(frozen=True)
class MustBe:
    """What a value must be, in the words of an error, where its type does not say it."""

    words: str


OptionalHttpUrl = Annotated[
    str | None, Field(pattern=r"^https?://[^/]"), MustBe("a URL that begins with http:// or https://")
]


def listed(text: str | None) -> list[str]:
    """Return the parts of a text that are separated by commas, without surrounding spaces."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def pairs(text: str | None) -> list[tuple[str, str]]:
    """Return the names and values of ``name=value,name=value``."""
    return [(name, value) for name, _, value in (part.partition("=") for part in listed(text))]


def must_be(field: FieldInfo) -> str:
    """Return what a field's value must be, such as "a whole number from 1 to 65535"."""
    for fact in field.metadata:
        if isinstance(fact, MustBe):
            return fact.words
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if kind is bool:
        return "true or false"
    if kind in {int, float}:
        return f"{'a whole number' if kind is int else 'a number'} {_range(field.metadata)}"
    return "a text"


def _range(metadata: list[Any]) -> str:
    bounds = {
        name: getattr(fact, name) for fact in metadata for name in ("gt", "ge", "le") if hasattr(fact, name)
    }
    first = f"greater than {bounds['gt']}" if "gt" in bounds else f"from {bounds['ge']}"
    if "le" not in bounds:
        return first if "gt" in bounds else f"of at least {bounds['ge']}"
    return f"{first} and up to {bounds['le']}" if "gt" in bounds else f"{first} to {bounds['le']}"
