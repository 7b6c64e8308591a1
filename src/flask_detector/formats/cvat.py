"""CVAT's XML 1.1, "CVAT for images": one file for all pictures.

Source: https://docs.cvat.ai, "CVAT for images"; cvat/apps/dataset_manager/formats/cvat.py.

Masks are CVAT's own: run lengths, row by row, over the rectangle that they lie in, beginning with outside. An
instance without a mask is a box. Scores have no place in these files. `source`, which CVAT shows, is `manual`
for what a person drew or changed, else `auto`.
"""

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from flask_detector.formats.categories import Categories
from flask_detector.formats.dataset_zip import Dataset, Spool
from flask_detector.formats.xml_writer import child, serialised, text
from flask_detector.structures.detections import Detections, Instance


class CvatDataset(Dataset):
    """``annotations.xml`` and the folder ``images``."""

    pictures: str | None = "images/"

    def __init__(self) -> None:
        self._categories = Categories()
        self._images = Spool()
        self._count = 0

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Take a picture in; its shapes go to the one file of all."""
        self._categories.add(found.labels)
        attributes = {"id": self._count, "name": name, "width": found.width, "height": found.height}
        if split is not None:
            attributes["subset"] = split
        image = Element("image", {key: text(value) for key, value in attributes.items()})
        for one in found:
            _add_shape(image, one)
        self._images.write(f"  {serialised(image, level=1)}\n")
        self._count += 1
        return []

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return the annotations."""
        return [("annotations.xml", self._content())]

    def _content(self) -> Iterator[bytes]:
        task = Element("task")
        child(task, "name", "flask-detector")
        child(task, "size", self._count)
        child(task, "mode", "annotation")
        labels = child(task, "labels")
        for name in self._categories.labels:
            label = child(labels, "label")
            child(label, "name", name)
            child(label, "type", "any")
            child(label, "attributes")
        meta = f"  <meta>\n    {serialised(task, level=2)}\n  </meta>\n"
        yield b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        yield meta.encode()
        yield from self._images.pieces()
        yield b"</annotations>\n"


def _add_shape(image: Element, one: Instance) -> None:
    is_a_persons = one.origin is not None and one.origin.source == "person"
    source = "manual" if is_a_persons else "auto"
    common = {"label": one.label, "source": source, "occluded": 0, "z_order": 0}
    if one.mask is not None and one.mask.area:
        mask = one.mask
        place = {"left": mask.x, "top": mask.y, "width": mask.width, "height": mask.height}
        child(image, "mask", **common, rle=", ".join(map(str, mask.counts_by_row().tolist())), **place)
    else:
        sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), one.box, strict=True))
        child(image, "box", **common, **{name: f"{side:.2f}" for name, side in sides.items()})
