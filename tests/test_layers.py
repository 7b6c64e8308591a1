"""The import rules of the design, read from the sources."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flask_detector

PACKAGE = Path(flask_detector.__file__).parent
PURE = ["imaging", "structures", "visualization", "formats", "detectors", "api"]


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files(part: str) -> list[Path]:
    file = PACKAGE / f"{part}.py"
    return [file] if file.exists() else sorted((PACKAGE / part).rglob("*.py"))


def _offenders(part: str, *forbidden: str) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in _files(part)
        for name in _imports(path)
        if any(name == rule or name.startswith(f"{rule}.") for rule in forbidden)
    ]


def test_each_named_part_exists() -> None:
    parts = [*PURE, "web", "worker", "webhooks", "jobs", "cli", "service"]
    assert [part for part in parts if not _files(part)] == []


@pytest.mark.parametrize("part", PURE)
def test_what_detects_and_draws_knows_neither_web_nor_queue(part: str) -> None:
    assert _offenders(part, "flask", "redis", "rq", "flask_detector.web", "flask_detector.jobs.queue") == []


def test_the_web_imports_no_worker_and_no_inference_engine() -> None:
    heavy = ["openvino_runtime", "nanodet", "loaded", "mask_rcnn.model", "mask_rcnn.build_graph"]
    rules = [
        "flask_detector.worker.rq_worker",
        "openvino",
        *(f"flask_detector.detectors.{name}" for name in heavy),
    ]
    assert _offenders("web", *rules) == []


@pytest.mark.parametrize("part", ["worker", "webhooks", "jobs"])
def test_the_worker_imports_no_flask(part: str) -> None:
    assert _offenders(part, "flask", "flask_detector.web") == []


@pytest.mark.parametrize("part", ["guarded_http", "webhooks/signing"])
def test_what_goes_out_knows_neither_web_nor_queue(part: str) -> None:
    assert _offenders(part, "flask", "redis", "rq", "flask_detector.web", "flask_detector.jobs.queue") == []


def test_only_the_runtime_imports_the_inference_engine() -> None:
    engines = [line for line in _offenders("detectors", "openvino") if "openvino_runtime.py" not in line]
    assert engines == []


def test_the_supervisor_imports_only_what_is_small() -> None:
    program = (
        "import sys, flask_detector.service.supervisor; print(*{name.split('.')[0] for name in sys.modules})"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    third_party = {name for name in answer.stdout.split() if name not in sys.stdlib_module_names}
    assert {name for name in third_party if not name.startswith(("_", "flask_detector"))} == set()


def test_only_jobs_and_those_who_do_them_know_rq() -> None:
    files = [
        path
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in {"jobs", "worker", "webhooks"}
    ]
    users = [path.name for path in files for name in _imports(path) if name.split(".")[0] == "rq"]
    assert users == []
