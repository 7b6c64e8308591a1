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
from flask_detector.formats.dataset_zip import Dataset
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
    writer: Callable[[Detections, str], bytes] = field(repr=False)
    dataset: Callable[[], Dataset] = field(repr=False)

    def write(self, found: Detections, filename: str) -> bytes:
        """Return the file of one picture.

        filename: the picture's; may hold any characters, also such as are no text (lone surrogates).
        """
        return self.writer(found, filename.encode("utf-8", "replace").decode())


FORMATS: dict[str, Format] = {
    "json": Format("JSON", ".json", "application/json", json_result.write, json_result.dataset),
    "csv": Format("CSV", ".csv", "text/csv; charset=utf-8", csv_table.write, csv_table.CsvDataset),
    "coco": Format(
        "COCO dataset, polygons",
        ".coco.json",
        "application/json",
        coco.write_polygons,
        partial(coco.CocoDataset, "polygons"),
    ),
    "coco-rle": Format(
        "COCO dataset, RLE",
        ".coco.json",
        "application/json",
        coco.write_rle,
        partial(coco.CocoDataset, "rle"),
    ),
    "coco-results": Format(
        "COCO results", ".coco-results.json", "application/json", coco.write_results, coco.CocoResults
    ),
    "yolo": Format("YOLO", ".yolo.zip", "application/zip", yolo.write_detection, yolo.detection_dataset),
    "yolo-seg": Format(
        "YOLO segmentation",
        ".yolo-seg.zip",
        "application/zip",
        yolo.write_segmentation,
        yolo.segmentation_dataset,
    ),
    "voc": Format("Pascal VOC", ".xml", "application/xml", pascal_voc.write, pascal_voc.VocDataset),
    "labelme": Format("LabelMe", ".json", "application/json", labelme.write, labelme.dataset),
    "labelme-polygons": Format(
        "LabelMe, polygons",
        ".json",
        "application/json",
        labelme.write_polygons,
        labelme.polygon_dataset,
    ),
    "cvat": Format("CVAT for images", ".cvat.xml", "application/xml", cvat.write, cvat.CvatDataset),
    "label-studio": Format(
        "Label Studio",
        ".label-studio.json",
        "application/json",
        label_studio.write,
        label_studio.LabelStudioDataset,
    ),
    "geojson": Format("GeoJSON, pixels", ".geojson", "application/geo+json", geojson.write, geojson.dataset),
}
