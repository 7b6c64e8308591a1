"""Pascal VOC's XML, one file a picture.

Source: PASCAL VOC2012 Development Kit, 2012, section 3, and its VOCwritexml.m.

Boxes are whole pixels counted from 1, first and last one inside: xmin = 1 and xmax = 1 is the first column
alone. Each holds every pixel that the found box touches. Masks have no place in these files. `score` is an
addition of ours, which readers pass over.
"""

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from flask_detector.formats.categories import Categories
from flask_detector.formats.dataset_zip import PerPicture, stem_of
from flask_detector.formats.xml_writer import child, serialised
from flask_detector.structures.boxes import pixels_of
from flask_detector.structures.detections import Detections


def write(found: Detections, filename: str) -> bytes:
    """Return the annotation of one picture."""
    root = Element("annotation")
    child(root, "folder", "JPEGImages")
    child(root, "filename", filename)
    corrected = "" if found.origins is None else ", corrected by a person"
    child(child(root, "source"), "database", f"Detected by flask-detector with {found.model}{corrected}")
    size = child(root, "size")
    for name, value in (("width", found.width), ("height", found.height), ("depth", 3)):
        child(size, name, value)
    child(root, "segmented", 0)
    for one in found:
        entry = child(root, "object")
        child(entry, "name", one.label)
        child(entry, "pose", "Unspecified")
        left, top, right, bottom = pixels_of(one.box, width=found.width, height=found.height)
        touches_edge = left == 0 or top == 0 or right == found.width or bottom == found.height
        child(entry, "truncated", int(touches_edge))
        child(entry, "difficult", 0)
        box = child(entry, "bndbox")
        for name, side in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
            child(box, name, side)
        child(entry, "score", round(one.score, 6))
    return serialised(root).encode() + b"\n"


class VocDataset(PerPicture):
    """``JPEGImages/``, ``Annotations/``, ``ImageSets/Main/default.txt`` and ``labelmap.txt``.

    Where pictures belong to parts there is a list for each, such as ``train.txt``.

    The last, which names the classes, is CVAT's and datumaro's: VOC itself has 20 fixed ones.
    """

    def __init__(self) -> None:
        super().__init__(write, ".xml", folder="Annotations/", pictures="JPEGImages/")
        self._stems: dict[str, list[str]] = {}
        self._categories = Categories()

    def add(self, found: Detections, name: str, split: str | None = None) -> Iterable[tuple[str, bytes]]:
        """Return the picture's annotation file, and remember the picture for the list of all."""
        self._stems.setdefault(split or "default", []).append(stem_of(name))
        self._categories.add(found.labels)
        return super().add(found, name, split)

    def finish(self) -> Iterable[tuple[str, Iterable[bytes]]]:
        """Return the lists of pictures, and that of all classes."""
        classes = ["# label:color_rgb:parts:actions\n"]
        # A colon has a meaning there, and no way to be escaped.
        classes += [f"{label.replace(':', '_')}:::\n" for label in self._categories.labels]
        return [
            *(
                (f"ImageSets/Main/{split}.txt", ["".join(f"{stem}\n" for stem in stems).encode()])
                for split, stems in (self._stems or {"default": []}).items()
            ),
            ("labelmap.txt", ["".join(classes).encode()]),
        ]
