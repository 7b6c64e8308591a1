"""The import rules: which part of the package may import which others and which libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flask_detector

PACKAGE = Path(flask_detector.__file__).parent

# What each part may import: parts of the package, then libraries. `net` stands for what the standard library
# reaches other machines with. The nearest row holds: `web.server` has one, the rest of `web` that of `web`.
RULES: dict[str, tuple[str, str]] = {
    # The picture's way
    "imaging": ("errors process structures", "PIL numpy pi_heif pyvips simplejpeg"),
    "structures": ("", "numpy"),
    "visualization": ("structures", "PIL anyascii numpy"),
    "formats": ("atomic_files detectors.coco_labels imaging structures", "PIL numpy supervision"),
    "detectors": ("atomic_files errors imaging process settings structures", "PIL numpy"),
    "detectors.openvino_runtime": ("errors process settings", "numpy openvino"),
    "detectors.openvino_graphs": ("detectors.openvino_runtime", "numpy"),
    "detectors.zoo": ("_version atomic_files detectors errors process settings structures", "net"),
    "teach": (
        "atomic_files datasets detectors errors evaluation imaging process settings structures",
        "numpy kornia onnx torch",
    ),
    "storage": ("atomic_files errors settings url_paths", ""),
    "storage.s3": ("errors storage", "obstore"),
    "datasets": ("errors formats.brush_rle formats.file_names imaging structures", "numpy yaml"),
    "collections": ("broker errors formats imaging storage structures", "redis"),
    "jobs": ("broker errors imaging process settings structures", "pydantic redis rq typing_extensions"),
    "worker": (
        "broker detectors errors imaging jobs process service.metrics settings storage structures webhooks",
        "numpy redis rq",
    ),
    # Of its own process
    "worker.teacher": (
        "broker collections errors jobs process settings storage teach worker",
        "redis",
    ),
    "worker.lesson_data": ("atomic_files collections datasets errors formats.file_names", ""),
    "webhooks": ("api_keys broker errors guarded_http jobs process settings", "redis"),
    "webhooks.signing": ("", ""),
    # What they stand on
    "broker": ("errors url_paths", "redis"),
    "broker.local_server": ("broker errors", "net"),
    "process": ("", ""),
    "service": (
        "_version broker detectors errors jobs process settings storage visualization",
        "PIL numpy redis net",
    ),
    "service.supervisor": ("broker errors process service.child", "net"),
    "service.child": ("process", "net"),
    # Who asks for it
    "web": (
        "_version api_keys broker collections datasets detectors.zoo detectors errors formats guarded_http "
        "imaging jobs process service.metrics service.supervisor settings storage structures teach.lesson "
        "visualization webhooks",
        "PIL _typeshed flask flask_limiter flask_wtf itsdangerous numpy prometheus_client pydantic "
        "pydantic_core redis typing_extensions werkzeug",
    ),
    "web.server": ("errors process service.supervisor settings web", "flask gunicorn net"),
    "cli": (
        "_version api_keys atomic_files broker client datasets detectors errors evaluation formats imaging "
        "process service settings storage structures teach visualization web worker",
        "click numpy",
    ),
    # At the top
    "_version": ("", ""),
    "__init__": ("_version api client detectors errors formats structures", ""),
    "__main__": ("cli", ""),
    "api": ("detectors errors formats imaging settings structures visualization", "PIL numpy supervision"),
    "api_keys": ("broker errors", "redis"),
    "atomic_files": ("", ""),
    "client": ("_version api errors structures", "net"),
    "errors": ("", ""),
    "evaluation": ("errors formats imaging structures", "numpy pycocotools"),
    "guarded_http": ("_version errors", "net"),
    "settings": ("errors", "pydantic pydantic_settings"),
    "url_paths": ("", ""),
}

NET = {"ftplib", "http.client", "smtplib", "socket", "socketserver", "ssl", "urllib.request"}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def _imports(path: Path) -> set[str]:
    """The modules that a module imports, also within functions and for types alone."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {_module(node.module, alias.name) for alias in node.names}
    return names


def _module(module: str, name: str) -> str:
    within = f"{module}.{name}".removeprefix("flask_detector.")
    return f"{module}.{name}" if within in MODULES else module


def _part_of(module: str) -> str:
    parts = module.split(".")
    return next(name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in RULES)


def _is_within(module: str, parts: str) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts.split())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    part = _part_of(module)
    parts, libraries = RULES[part]
    offences = []
    for name in _imports(MODULES[module]):
        root = name.split(".")[0]
        if root == "flask_detector":
            target = name.removeprefix("flask_detector").removeprefix(".") or "__init__"
            if not _is_within(target, f"{parts} {part}"):
                offences.append(name)
        elif root not in sys.stdlib_module_names:
            if root not in libraries.split():
                offences.append(name)
        elif name in NET and "net" not in libraries.split():
            offences.append(name)
    assert offences == []


def test_every_rule_is_for_a_part_that_exists() -> None:
    assert [part for part in RULES if part not in MODULES and part != "__init__"] == []


def test_every_part_has_a_rule() -> None:
    assert {module.split(".")[0] for module in MODULES} - {part.split(".")[0] for part in RULES} == set()


def _circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """What remains when whatever imports nothing that is left is taken away, again and again."""
    left = dict(edges)
    while done := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in done:
            del left[name]
    while done := [name for name in left if not any(name in needs for needs in left.values())]:
        for name in done:
            del left[name]
    return [[name, *sorted(needs & left.keys())] for name, needs in sorted(left.items())]


def test_no_modules_import_each_other_in_a_circle() -> None:
    edges = {
        module: {
            target
            for name in _imports(path)
            if (target := name.removeprefix("flask_detector.")) in MODULES and target != module
        }
        for module, path in MODULES.items()
    }
    assert _circles(edges) == []


def test_no_folders_import_each_other_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        part = module.split(".")[0]
        for name in _imports(path):
            target = name.removeprefix("flask_detector.").split(".")[0]
            if name.startswith("flask_detector.") and target != part:
                edges.setdefault(part, set()).add(target)
        edges.setdefault(part, set())
    assert _circles(edges) == []


def test_a_circle_is_found() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["b", "c"], ["c", "b"]]


def test_the_supervisor_imports_only_what_is_small() -> None:
    program = (
        "import sys, flask_detector.service.supervisor; print(*{name.split('.')[0] for name in sys.modules})"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # Debian's Python imports the last one by itself.
    third_party = set(answer.stdout.split()) - sys.stdlib_module_names - {"sitecustomize"}
    assert {name for name in third_party if not name.startswith(("_", "flask_detector"))} == set()


def test_the_web_process_does_not_load_the_engine() -> None:
    program = (
        "import sys, flask_detector.web; print(*sorted({'openvino', 'torch', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
