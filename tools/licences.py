"""Lists the licences of what is installed with flask-detector; fails on one that is not allowed.

``python tools/licences.py`` writes docs/licences.md, with ``--check`` it only looks. Both look into the
wheels: at each shared library and program, at lists of crates that come along, at the features of libvips.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from bundled import (  # type: ignore[import-not-found]  # it lies beside this file
    FILES,
    INSIDE,
    VIPS_FEATURES,
)

DOCUMENT = Path(__file__).parents[1] / "docs" / "licences.md"
ROOT = "flask-detector"
EXTRAS = ("", "s3")

# What comes along with Python 3.11.0 to 3.11.2 alone, and so is not always here to be looked at.
OF_OLDER_PYTHONS = {"async-timeout": "Apache-2.0"}

# What may be passed on with a program under the MIT licence, unchanged or linked dynamically.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Open-MPI",
    "BSL-1.0",
    "CC0-1.0",
    "FTL",
    "GPL-3.0-or-later WITH GCC-exception-3.1",
    "HPND",
    "IJG",
    "ISC",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Python-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "X11",
    "Zlib",
    "libpng-2.0",
    "libtiff",
}

# How the files of programs and shared libraries begin: ELF, Mach-O of 64 bits.
_BINARIES = (b"\x7fELF", b"\xcf\xfa\xed\xfe")
_EXTENSION_MODULE = re.compile(r"\.(cpython-[^.]+|abi3)\.so$")
_NAME = re.compile(r"(?:lib)?(.+?)(?:-[0-9a-f]{8})*(?:\.so[.\d]*|[.\d]*\.dylib)?")
_VIPS_FEATURE = re.compile(rb" with ([\w.+-]+): true")

# Older packages say it in words; the longest that fits wins.
_WORDS = {
    "apache": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
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
        any(
            choice.strip() in ALLOWED or choice.split(" WITH ")[0].strip() in ALLOWED
            for choice in re.split(r"\s+OR\s+", part)
        )
        for part in re.split(r"\s+AND\s+", plain)
    )


def binaries(package: Distribution) -> Iterator[Path]:
    """Yield the shared libraries and programs that a package carries beside its own extension modules."""
    for file in package.files or []:
        path = Path(str(package.locate_file(file)))
        if path.is_file() and not _EXTENSION_MODULE.search(path.name):
            with path.open("rb") as opened:
                if opened.read(4) in _BINARIES:
                    yield path


def unknown_in(name: str, package: Distribution) -> Iterator[str]:
    """Yield what a package carries that `bundled.py` doesn't know."""
    for path in binaries(package):
        match = _NAME.fullmatch(path.name)
        if match is None or match[1] not in FILES.get(name, {}):
            yield path.name
        elif match[1] == "vips":
            features = {found.decode() for found in _VIPS_FEATURE.findall(path.read_bytes())}
            yield from sorted(features - VIPS_FEATURES)


def crates_in(package: Distribution) -> dict[str, str]:
    """Return the licences of the Rust crates that a package is made of, by the list that comes with it."""
    files = [file for file in package.files or [] if str(file).endswith(".cyclonedx.json")]
    parts = [part for file in files for part in json.loads(file.read_text())["components"]]
    return {part["name"]: part["licenses"][0]["expression"] for part in parts}


def main() -> None:
    """Write the list, or look whether each licence is allowed and listed."""
    parser = argparse.ArgumentParser(description="List the licences of what is installed.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    packages = installed()
    licences = {name: licence_of(package) for name, package in packages.items()}
    listed_too = sorted({**OF_OLDER_PYTHONS, **licences}.items())
    rows = [f"| {name} | {licence} |" for name, licence in listed_too]
    within = []
    problems = []
    for name, package in packages.items():
        parts = FILES.get(name, {}) | INSIDE.get(name, {})
        within += [f"| {name} | {part} | {licence} |" for part, licence in parts.items()]
        if crates := crates_in(package):
            kinds = {
                kind for licence in crates.values() for kind in re.split(r"\s+(?:AND|OR)\s+|[()]", licence)
            }
            within.append(
                f"| {name} | Rust crates, listed in the wheel | {', '.join(sorted(kinds - {''}))} |"
            )
        for part, licence in {name: licences[name], **parts, **crates}.items():
            if not is_allowed(licence):
                problems.append(
                    f"{name}: the licence {licence!r} of {part} is not in the list of allowed ones"
                )
        for part in unknown_in(name, package):
            problems.append(
                f"{name} carries {part}, which tools/bundled.py does not know: find its licence in the "
                "wheel's notices or its source; add it there if it may be passed on, else drop the package"
            )
    lines = [*_HEAD, *rows, "", *_HEAD_OF_WITHIN, *within, ""]
    if check:
        listed = DOCUMENT.read_text().splitlines()
        problems += [
            f"docs/licences.md lacks: {row}; run 'make licences'" for row in lines if row not in listed
        ]
    else:
        DOCUMENT.write_text("\n".join(lines))
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(bool(problems))


_HEAD = [
    "# Licences",
    "",
    "flask-detector is under the MIT licence. What is installed with it and its extra `s3` on Linux x86-64",
    "with Python 3.11, by the packages' own words: `make licences` makes this list, and CI fails on one that",
    "`tools/licences.py` does not allow. The embedded model and the pages' pictures have a NOTICE.",
    "`make sbom` lists all versions.",
    "",
    "| package | licence |",
    "| --- | --- |",
]
_HEAD_OF_WITHIN = [
    "## Within the wheels",
    "",
    "Libraries and programs that come in those packages as files of their own, or are linked into them. CI",
    "fails on a file, or a feature of libvips, that `tools/bundled.py` does not know. libde265 and libheif,",
    "which read HEIC, are under the LGPL-3.0, and so is libvips as it comes, with what is linked into it.",
    "They are files of their own, unchanged, which you may replace. Nothing is under the GPL but GCC's",
    "runtime for Fortran, whose exception lets programs of any licence use it. Where there is a choice",
    "(freetype, cairo), the licence that is not the GPL is meant. Pillow's own list of parts names a GPL",
    "library, libimagequant, which its wheels are built without.",
    "",
    "| package | part | licence |",
    "| --- | --- | --- |",
]

if __name__ == "__main__":
    main()
