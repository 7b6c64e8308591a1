"""Text whose encoding nobody declared: UTF-8, or the nearest guess.

Old cameras and programs send file names in the encoding of their system's language. Which one that is can't
be known, but in another one's the bytes make no words. So an encoding is taken where all letters beside the
English ones are of its script, and something is there that Western European names have not; whatever fits
none is read as Western European, which any bytes fit. A name of one or two letters may be taken for another
script's.
"""

import re

_HAN = "\u3000-\u303f\u4e00-\u9fff\uff01-\uff5e"
# Of an alphabet also: no letter of another one in a word, and no capitals in the middle.
_CYRILLIC = r"(?:[\0-\x7f]|(?<![^\W\d_])(?:[А-ЯЁІЇЄҐ]?[а-яёіїєґ]++|[А-ЯЁІЇЄҐ]++)(?![^\W\d_]))*+"  # noqa: RUF001  # Cyrillic is meant

# Encoding, what its texts are made of, and which bytes Western European names have not: of Japanese the first
# of each usual letter, of Cyrillic a vowel between letters, of Korean and Chinese two usual ones.
_LEGACY = [
    (encoding, re.compile(letters), re.compile(sign))
    for encoding, letters, sign in (
        ("cp932", f"[\0-\x7f{_HAN}\u3040-\u30ff]*", rb"[\x81-\x9f]"),
        ("cp1251", _CYRILLIC, rb"[\xc0-\xff][\xc0\xc5\xc8\xce\xd3\xe0\xe5\xe8\xee\xf3\xfb\xff][\xc0-\xff]"),
        ("cp949", "[\0-\x7f\uac00-\ud7a3]*", rb"(?:[\xb0-\xc8][\xa1-\xfe]){2}"),
        ("gb18030", f"[\0-\x7f{_HAN}]*", rb"(?:[\xb0-\xd7][\xa1-\xfe]){2}"),
    )
]


def decoded(data: bytes) -> str:
    """Return the text of some bytes in whatever encoding they are, as near as can be."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    for encoding, letters, sign in _LEGACY:
        text = data.decode(encoding, "replace")
        if sign.search(data) and letters.fullmatch(text):
            return text
    return data.decode("cp1252", "replace")
