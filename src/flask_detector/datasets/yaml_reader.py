"""YAML of strangers: small, without references, which a few lines could blow up by."""

from typing import Any, Final

import yaml

from flask_detector.datasets.remarks import Unusable

LARGEST_FILE: Final = 1_000_000
_DEEPEST: Final = 20


def value_of(data: bytes) -> Any:
    """Return what a YAML file holds; raises Unusable."""
    depth = 0
    try:
        for event in yaml.parse(data, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise Unusable("has a reference (*), which is not followed")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise Unusable("is nested too deeply")
        return yaml.load(data, Loader=yaml.CSafeLoader)  # it is the safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable("is not YAML, or names types beyond texts, numbers and lists") from error
