"""The training configuration that MMDetection keeps in its checkpoints, read as data.

It is Python's source: assignments of literals and of calls of dict. It is parsed, not run; what is anything
else counts as not stated.
"""

import ast
from collections.abc import Mapping
from typing import Any

# Those of MMDetection's own models have up to 20 kB.
_LONGEST = 1 << 17


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
