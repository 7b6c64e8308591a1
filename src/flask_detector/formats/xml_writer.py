"""XML that any text can go into."""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

# What XML 1.0 has no way to write, section 2.2.
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(value: object) -> str:
    """Return a value as text, with U+FFFD for each character that XML can't hold."""
    return _IMPOSSIBLE.sub("\ufffd", str(value))


def child(parent: Element, tag: str, content: object = None, /, **attributes: object) -> Element:
    """Add an element with its text and attributes, and return it."""
    element = ElementTree.SubElement(parent, tag, {key: text(a) for key, a in attributes.items()})
    if content is not None:
        element.text = text(content)
    return element


def serialised(element: Element, *, level: int = 0) -> str:
    """Return an element as indented text."""
    ElementTree.indent(element, level=level)
    return ElementTree.tostring(element, encoding="unicode")
