"""What a benchmark found, for the tables in README.md and docs/performance.md.

A result is a file in results/: when, where and how it was measured, and its figures by row and quantity.
"""

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("results")

Figures = dict[str, dict[str, float]]


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose description is the first line of a module's docstring."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--record", action="store_true", help="keep the figures for the documentation")
    return parser


def record(name: str, command: str, figures: Figures) -> None:
    """Keep the figures of a benchmark, in place of those before."""
    result = {"date": f"{datetime.now(UTC):%-d %B %Y}", "machine": machine(), "command": command}
    rounded = {row: {what: float(f"{n:.4g}") for what, n in found.items()} for row, found in figures.items()}
    text = json.dumps({**result, "figures": rounded}, indent=2)
    FOLDER.joinpath(f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """Return what was kept of a benchmark."""
    result: dict[str, Any] = json.loads(FOLDER.joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return result


def machine() -> str:
    """Return what the figures depend on: cores, processor, and which of its units models make use of."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    found = dict(reversed([line.split(":", 1) for line in lines if ":" in line]))
    facts = {name.strip(): value.strip() for name, value in found.items()}
    flags = facts.get("flags", facts.get("Features", "")).split()
    units = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "bfloat16", "bf16": "bfloat16"}
    has = ", ".join(dict.fromkeys(name for flag, name in units.items() if flag in flags))
    processor = facts.get("model name", "an unknown processor")
    return f"{len(os.sched_getaffinity(0))} cores, {processor}" + (f" with {has}" if has else "")
