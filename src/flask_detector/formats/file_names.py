"""Names of files: what a picture is called, and names that are safe on every system, no two alike.

A user's file name may hold anything. Shown, it must be one line and hide nothing. Within an archive it must
be no path, nothing that Windows refuses, and different from every other one also where upper and lower case
are the same and suffixes don't count.
"""

import re
import unicodedata
from pathlib import PurePosixPath

from flask_detector.imaging import sniff

_NAMELESS = "picture"
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u2028\u2029\ud800-\udfff]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
# 255 are the limit of most file systems: of some in bytes, of others in characters.
LONGEST_SHOWN = 255
# Beside it a number or a long ending such as ".label-studio.json" must find room.
_LONGEST_STEM = 236
# What joins the letters of some scripts and the parts of an emoji, though it can't be seen itself.
_JOINING = re.compile("[\u200c\u200d\U000e0020-\U000e007f]")

# What the names of pictures end in, by format; the first is what all tools know.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
OTHER_SUFFIXES = {".jfif", ".jpe", ".dib", ".hif"}  # of the same formats, but few tools know them


def shown_name(path: str | None) -> str:
    """Return the last part of a path, written as any system writes it, as one line of visible characters.

    What is too long loses the end of its stem. "picture" is for a name of which nothing is left.
    """
    last = next((part for part in reversed(re.split(r"[/\\]", path or "")) if part), "")
    name = "".join(_shown(character) for character in last).strip()
    if not name.strip("."):
        return _NAMELESS
    suffix = PurePosixPath(name).suffix[:20]
    return name if len(name) <= LONGEST_SHOWN else name[: LONGEST_SHOWN - len(suffix)] + suffix


def safe_name(filename: str) -> str:
    """Return the file name without what can't be part of one; "picture" where nothing is left."""
    last = re.split(r"[/\\]", filename)[-1]
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", last)).strip(" .")
    path = PurePosixPath(name or _NAMELESS)
    stem = path.stem.encode()[:_LONGEST_STEM].decode(errors="ignore").rstrip(" .")
    name = stem + path.suffix.encode()[:19].decode(errors="ignore")
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def safe_stem(filename: str) -> str:
    """Return the safe name without its suffix."""
    return PurePosixPath(safe_name(filename)).stem.rstrip(" .")


def with_suffix_of(filename: str, head: bytes) -> str:
    """Return the file name with a suffix that the picture's content has, told by its first bytes.

    The tools for data sets go by suffixes: they pass over a picture that has none. What stands behind the
    last dot and is no suffix of pictures belongs to the name.
    """
    suffixes = SUFFIXES.get(sniff.format_of(head) or "")
    stem, dot, ending = filename.rpartition(".")
    suffix = f".{ending.lower()}" if dot else ""
    if suffixes is None or suffix in suffixes:
        return filename
    is_picture = suffix in OTHER_SUFFIXES or any(suffix in others for others in SUFFIXES.values())
    return f"{stem if is_picture else filename}{suffixes[0]}"


class UniqueNames:
    """Gives each picture a safe name whose stem no other one has."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, filename: str) -> str:
        """Return the name for a picture: its own, or with a number before the suffix."""
        path = PurePosixPath(safe_name(filename))
        stem, number = path.stem, 1
        while stem.casefold() in self._taken:
            number += 1
            stem = f"{path.stem}-{number}"
        self._taken.add(stem.casefold())
        return stem + path.suffix


def _shown(character: str) -> str:
    """Return a character as it may be shown: none that ends a line, turns the writing round or is no text."""
    match unicodedata.category(character):
        case "Zs" | "Zl" | "Zp":
            return " " if character in "\u2028\u2029" else character
        case "Cc":
            return " " if character.isspace() else ""
        case "Cf":
            return character if _JOINING.match(character) else ""
        case "Cs":
            return ""
        case _:
            return character
