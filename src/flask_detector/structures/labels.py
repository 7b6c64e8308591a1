"""The names of classes, as users write them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST = 100
"""Characters that a label may have."""

_SEEN = {"L", "N", "P", "S"}  # the first letters of Unicode's categories
_NOT_OF_A_LINE = {"Cc", "Cs", "Zl", "Zp"}
# What turns the writing round, the score behind the name with it (UAX #9).
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def problem_of(label: str) -> str | None:
    """Return what keeps a label from being shown, asked for and written, as a predicate; None for nothing."""
    if not any(unicodedata.category(c)[0] in _SEEN for c in label):
        return "is empty"
    if len(label) > LONGEST:
        return f"has {len(label)} characters; {LONGEST} is the most"
    if any(map(_is_out_of_line, label)):
        return "has an end of a line in it, or another character that can't be seen"
    return None


def _is_out_of_line(character: str) -> bool:
    category, direction = unicodedata.category(character), unicodedata.bidirectional(character)
    return category in _NOT_OF_A_LINE or direction in _TURNING


def asked_labels(texts: Iterable[str], labels: Sequence[str]) -> list[str]:
    """Return the labels that are asked for: each text is one, or several with commas between them.

    A label may have commas itself: of those that fit, the longest is meant, so that `a` and `b` beside `a,b`
    are two texts. What is no label is returned as well, as it stands between the commas.
    """
    known = {label.strip(): label for label in labels}
    longest = 1 + max((label.count(",") for label in labels), default=0)
    found = []
    for text in texts:
        words, place = text.split(","), 0
        while place < len(words):
            ends = range(min(place + longest, len(words)), place, -1)
            names = {end: ",".join(words[place:end]).strip() for end in ends}
            end = next((end for end, name in names.items() if name in known), place + 1)
            if names[end]:
                found.append(known.get(names[end], names[end]))
            place = end
    return found


def plural(label: str, number: int) -> str:
    """Return a label as it follows a number: `beds` after 4; a label not in English is unchanged."""
    if number == 1 or not re.search("[a-z]$", label) or re.search("([^su]s|sheep|broccoli)$", label):
        return label
    for pattern, ending in (("(s|x|z|ch|sh)$", r"\1es"), ("([^aeiou])y$", r"\1ies"), ("([^f])fe$", r"\1ves")):
        if re.search(pattern, label):
            return re.sub(pattern, ending, label)
    return f"{label}s"
