"""Every setting, read once from the environment: one class per group of docs/settings.md."""

import os
from difflib import get_close_matches
from typing import Self

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from flask_detector.errors import SettingsError
from flask_detector.settings.detection import (
    DEFAULT_QUEUE,
    TEACH_QUEUE,
    ModelSettings,
    PictureSettings,
    QueueSettings,
    WorkerSettings,
)
from flask_detector.settings.storage import RedisSettings, StorageSettings
from flask_detector.settings.values import MEGABYTE, must_be
from flask_detector.settings.web import CLIENTS, ApiSettings, CompatSettings, WebSettings

__all__ = [
    "CLIENTS",
    "DEFAULT_QUEUE",
    "GROUPS",
    "MEGABYTE",
    "TEACH_QUEUE",
    "Settings",
    "unknown_variables",
    "variable_of",
]


class Settings(
    WebSettings,
    ApiSettings,
    CompatSettings,
    PictureSettings,
    QueueSettings,
    WorkerSettings,
    ModelSettings,
    StorageSettings,
    RedisSettings,
    BaseSettings,
):
    """The settings of one process; a field's variable is its name in capitals after ``DETECTOR_``."""

    model_config = SettingsConfigDict(
        env_prefix="DETECTOR_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    @classmethod
    def from_environment(cls, **overrides: object) -> Self:
        """Return the settings of the environment; `overrides` (by field name) take precedence.

        Raises SettingsError that names each bad variable, its value, and what it must be.
        """
        try:
            return cls(**overrides)  # type: ignore[arg-type]  # pydantic checks the values
        except ValidationError as error:
            raise SettingsError(
                " ".join(_explain(str(e["loc"][0]), e["input"]) for e in error.errors()),
                hint="Correct the environment variable and start again.",
            ) from error


# The classes of the groups, in the order of the documentation.
GROUPS: tuple[type[BaseModel], ...] = Settings.__bases__[:-1]


def _explain(name: str, value: object) -> str:
    """Return what is wrong with a value; `name` is that of a field, or of a variable without our prefix."""
    if (field := Settings.model_fields.get(name.lower())) is None:
        return f"{variable_of(name)} is not a setting."
    return f"{variable_of(name)} is '{str(value)[:100]}': it must be {must_be(field)}."


def variable_of(field: str) -> str:
    """Return the name of the environment variable of a field."""
    name = field.upper()
    return name if name in {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "PORT", "REDIS_URL"} else f"DETECTOR_{name}"


def unknown_variables() -> list[tuple[str, str]]:
    """Return the environment variables that look like settings but are not, each with a hint."""
    known = [*map(variable_of, Settings.model_fields), "DETECTOR_API_KEY"]
    unknown = sorted(name for name in os.environ if name.startswith("DETECTOR_") and name not in known)
    close = [get_close_matches(name, known, n=1) for name in unknown]
    hints = [f"Did you mean {names[0]}?" if names else "docs/settings.md lists them." for names in close]
    return list(zip(unknown, hints, strict=True))
