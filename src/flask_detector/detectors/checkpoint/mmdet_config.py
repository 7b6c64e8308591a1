"""The training configuration that MMDetection keeps in its checkpoints, read as data.

It is Python's source: assignments of literals and of calls of dict. It is parsed, not run; what is anything
else counts as not stated.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask_detector.errors import ForeignCheckpoint

# Those of MMDetection's own models have up to 20 kB.
_LONGEST = 1 << 17


Path = tuple[str, ...]


def config_text(meta: Mapping[str, Any]) -> str:
    """Return the configuration as it stands in the file; empty where there is none.

    MMDetection 2 calls it "config", 3 "cfg", both in "meta".
    """
    for source in (meta.get("meta"), meta):
        for key in ("cfg", "config"):
            text = source.get(key) if isinstance(source, Mapping) else None
            if isinstance(text, str) and len(text) <= _LONGEST:
                return text
    return ""


def config_of(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the assignments of the configuration; none where the file has none that can be read."""
    try:
        module = ast.parse(config_text(meta))
        return {
            target.id: _value(statement.value)
            for statement in module.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List() | ast.Tuple():
            return [_value(part) for part in node.elts]
        case ast.Dict():
            return {
                key.value: _value(value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
        case ast.Call(func=ast.Name(id="dict"), args=[]):
            return {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg}
    return None


# --- what stands in it


def at(value: Any, path: Path) -> Any:
    """Return what stands at a path of keys, None where there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def first_at(value: Any, paths: Sequence[Path]) -> Any:
    """Return what stands at the first of the paths that is there; its name differs by version."""
    return next((found for found in (at(value, path) for path in paths) if found is not None), None)


def differing(model: Any, fixed: Sequence[tuple[Path, Any]]) -> list[str]:
    """Return what is stated at these paths and is not that value, for people."""
    return [
        f"{'.'.join(path)} is {at(model, path)}, not {value}"
        for path, value in fixed
        if at(model, path) is not None and at(model, path) != value
    ]


def refuse_if(differences: Sequence[str]) -> None:
    """Raise ForeignCheckpoint where a configuration asks for what is not done here."""
    if differences:
        raise ForeignCheckpoint(
            f"Its configuration asks for what is not done here: {'; '.join(differences)}.",
            hint="Only MMDetection itself can use this one.",
        )


def normalisation_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how pictures are normalised: nothing where it is not stated.

    image_mean, image_std: of the channels, in the network's order. bgr: None where that order is not stated.
    """
    steps = [step for step in _steps(config) if step.get("type") == "Normalize"]
    for stated in (at(config, ("model", "data_preprocessor")), *steps, config.get("img_norm_cfg")):
        if isinstance(stated, dict) and isinstance(stated.get("mean"), list):
            to_rgb = stated.get("bgr_to_rgb", stated.get("to_rgb"))
            bgr = not to_rgb if isinstance(to_rgb, bool) else None
            return {"image_mean": stated["mean"], "image_std": stated.get("std"), "bgr": bgr}
    return {}


def size_for_testing(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the sides that pictures are resized to for testing, None where it is not stated.

    Raises ForeignCheckpoint where that does not keep the ratio of the sides.
    """
    for step in _steps(config):
        is_resize = step.get("type") == "Resize"
        if is_resize and step.get("keep_ratio") is False:
            refuse_if(["Resize does not keep the ratio of the sides"])
        # Version 3 has it in Resize, version 2 in the step around that.
        scale = step.get("scale") if is_resize else step.get("img_scale")
        if isinstance(scale, list) and len(scale) == 2 and all(isinstance(side, int) for side in scale):
            return scale[0], scale[1]
    return None


def _steps(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps of the pipeline that prepares a picture for testing, with those within them."""
    places = (("test_dataloader", "dataset", "pipeline"), ("data", "test", "pipeline"), ("test_pipeline",))
    found = first_at(config, places)
    waiting = list(found) if isinstance(found, list) else []
    while waiting:
        step = waiting.pop(0)
        if isinstance(step, dict):
            yield step
            inner = step.get("transforms")
            waiting = [*inner, *waiting] if isinstance(inner, list) else waiting
