"""Where tests are: each beside its module's counterpart, or where whole programs are tried."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "src" / "flask_detector"

# Folders that try the whole program, or what is not in the package.
WHOLE = {"browser", "faults", "machines", "project", "tools"}

# What goes through several modules of one folder.
ACROSS = {
    "cli/test_interrupted.py",
    "datasets/test_writers.py",
    "detectors/mask_rcnn/test_parity.py",
    "detectors/mask_rcnn/test_steps.py",
    "detectors/onnx/test_equality.py",
    "detectors/rtmdet/test_parity.py",
    "detectors/zoo/test_adding.py",
    "formats/test_corrected.py",
    "formats/test_hard_masks.py",
    "formats/test_json_and_csv.py",
    "formats/test_labelling.py",
    "formats/test_readers.py",
    "imaging/test_tiff_numbers.py",
    "process/test_json_log.py",
    "test_layers.py",
    "web/api/test_asking.py",
    "web/api/test_document.py",
    "web/api/test_own_labels.py",
    "web/compat/test_addresses.py",
    "web/compat/test_empty_masks.py",
    "web/compat/test_errors.py",
    "web/compat/test_limits.py",
    "web/compat/test_real_clients.py",
    "web/core/test_batch_exports.py",
    "web/middleware/test_secret_key.py",
    "web/test_bad_pictures.py",
    "web/test_file_names.py",
    "web/test_metadata.py",
    "web/test_webhooks.py",
}


def _mirrors(test: Path) -> bool:
    counterpart = PACKAGE / test.parent / test.stem.removeprefix("test_")
    return counterpart.is_dir() or counterpart.with_suffix(".py").exists()


def test_tests_mirror_the_package() -> None:
    tests = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    strays = {str(test) for test in tests if test.parts[0] not in WHOLE and not _mirrors(test)}
    assert strays == ACROSS


def test_what_tests_share_is_in_support_and_conftests_have_fixtures_alone() -> None:
    assert [str(path) for path in (TESTS / "support").rglob("test_*.py")] == []
    for path in TESTS.rglob("conftest.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith(
                ("_", "pytest_")
            ):
                assert "fixture" in " ".join(map(ast.unparse, node.decorator_list)), f"{path}: {node.name}"
