"""Files that a result can be taken away as, told in docs/formats.md. A new format is one file and one row.

>>> from flask_detector import load_detector
>>> from flask_detector.formats import FORMATS, dataset
>>> FORMATS["voc"].title, FORMATS["voc"].suffix, FORMATS["voc"].media_type
('Pascal VOC', '.xml', 'application/xml')
>>> found = load_detector("nanodet-g").detect("street.jpg", min_score=0.5)
>>> FORMATS["voc"].write(found, "street.jpg").count(b"<name>car</name>")
4

Data sets of several pictures, of which one at a time lies in memory:

>>> with open("photos.zip", "wb") as file, open("street.jpg", "rb") as picture:
...     dataset.write_to(file, "yolo", [("street.jpg", found, picture)])
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from flask_detector.formats import (
    coco,
    csv_table,
    cvat,
    geojson,
    json_result,
    label_studio,
    labelme,
    pascal_voc,
    yolo,
)
from flask_detector.formats.dataset_zip import Dataset, PerPicture, Write, file_of_one, zip_of_one
from flask_detector.structures.detections import Detections

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True)
class Format:
    """One kind of file.

    title: what a person reads on the link.
    suffix, media_type: of the file of one picture.
    writer: from the result and the picture's file name to that file's bytes.
    dataset: makes an empty data set, for several pictures; see `formats.dataset`.
    """

    title: str
    suffix: str
    media_type: str
    writer: Write = field(repr=False)
    dataset: Callable[[], Dataset] = field(repr=False)

    def write(self, found: Detections, filename: str) -> bytes:
        """Return the file of one picture.

        filename: the picture's; may hold any characters, also such as are no text (lone surrogates).
        """
        return self.writer(found, filename.encode("utf-8", "replace").decode())


_COCO_POLYGONS = partial(coco.CocoDataset, "polygons")
_COCO_RLE = partial(coco.CocoDataset, "rle")
_YOLO = partial(yolo.YoloDataset, yolo.box)
_YOLO_SEG = partial(yolo.YoloDataset, yolo.polygon)
_JSON, _ZIP = "application/json", "application/zip"

FORMATS: dict[str, Format] = {
    "json": Format(
        "JSON", ".json", _JSON, json_result.write, partial(PerPicture, json_result.write, ".json")
    ),
    "csv": Format(
        "CSV", ".csv", "text/csv; charset=utf-8", file_of_one(csv_table.CsvDataset), csv_table.CsvDataset
    ),
    "coco": Format(
        "COCO dataset, polygons", ".coco.json", _JSON, file_of_one(_COCO_POLYGONS), _COCO_POLYGONS
    ),
    "coco-rle": Format("COCO dataset, RLE", ".coco.json", _JSON, file_of_one(_COCO_RLE), _COCO_RLE),
    "coco-results": Format("COCO results", ".coco-results.json", _JSON, coco.write_results, coco.CocoResults),
    "yolo": Format("YOLO", ".yolo.zip", _ZIP, zip_of_one(_YOLO), _YOLO),
    "yolo-seg": Format("YOLO segmentation", ".yolo-seg.zip", _ZIP, zip_of_one(_YOLO_SEG), _YOLO_SEG),
    "voc": Format("Pascal VOC", ".xml", "application/xml", pascal_voc.write, pascal_voc.VocDataset),
    # LabelMe opens a folder with pictures and annotations side by side.
    "labelme": Format(
        "LabelMe", ".json", _JSON, labelme.write, partial(PerPicture, labelme.write, ".json", pictures="")
    ),
    "labelme-polygons": Format(
        "LabelMe, polygons",
        ".json",
        _JSON,
        labelme.write_polygons,
        partial(PerPicture, labelme.write_polygons, ".json", pictures=""),
    ),
    "cvat": Format(
        "CVAT for images", ".cvat.xml", "application/xml", file_of_one(cvat.CvatDataset), cvat.CvatDataset
    ),
    "label-studio": Format(
        "Label Studio",
        ".label-studio.json",
        _JSON,
        label_studio.write,
        label_studio.LabelStudioDataset,
    ),
    "geojson": Format(
        "GeoJSON, pixels",
        ".geojson",
        "application/geo+json",
        geojson.write,
        partial(PerPicture, geojson.write, ".geojson"),
    ),
}
