"""The names of classes, as users write them."""

import re
from collections.abc import Iterable, Sequence


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
