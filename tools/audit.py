"""Asks the public vulnerability services about what is installed; says plainly where they can't be asked.

Exit status 1 when something is vulnerable. Where a service can't be reached that is told, and is no failure:
a change must not be stopped by somebody else's outage.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]


def audit_python() -> bool:
    """Ask about the Python packages of this environment; tell whether none is vulnerable."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--skip-editable",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    answer = _run(command, PROJECT)
    packages = _json(answer).get("dependencies", [])
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        print("Python: NOT AUDITED, the vulnerability service could not be asked")
        return True
    found = [(p["name"], p["version"], v["id"]) for p in asked for v in p["vulns"]]
    for name, version, id in found:
        print(f"Python: {name} {version} has {id}")
    print(f"Python: {len(asked)} packages audited, {len(packages) - len(asked)} not, {len(found)} findings")
    return not found


def audit_node() -> bool:
    """Ask about the tools that check the scripts; nothing of them is served."""
    if shutil.which("npm") is None:
        print("Node.js: NOT AUDITED, there is no npm")
        return True
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(PROJECT / "package.json", folder)
        shutil.copy(PROJECT / ".npmrc", folder)
        _run(["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"], Path(folder))
        form = _json(_run(["npm", "audit", "--json"], Path(folder)))
    if "metadata" not in form:
        print("Node.js: NOT AUDITED, the vulnerability service could not be asked")
        return True
    total = form["metadata"]["vulnerabilities"]["total"]
    print(f"Node.js: {form['metadata']['dependencies']['total']} packages audited, {total} findings")
    return bool(total == 0)


def _run(command: list[str], folder: Path) -> str:
    try:
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return answer.stdout


def _json(text: str) -> dict[str, Any]:
    try:
        form = json.loads(text)
    except ValueError:
        return {}
    return form if isinstance(form, dict) else {}


if __name__ == "__main__":
    results = [audit_python(), audit_node()]
    sys.exit(not all(results))
