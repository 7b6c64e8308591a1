"""Have the programs of the field write a data set of ours: python write_data_sets.py COCO LABEL_STUDIO OUT.

COCO, LABEL_STUDIO: folders with our exports `coco-rle` and, corrected, `label-studio` of the same pictures.
OUT: gets a folder for each program and format; their names are printed.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import supervision
from datumaro.components.dataset import Dataset
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.brush import mask2rle
from labelme._label_file import LabelFile
from labelme.utils import img_arr_to_b64
from pycocotools import mask as coco_masks

coco, studio, out = map(Path, sys.argv[1:])


def by_datumaro() -> None:
    """COCO and VOC with masks, YOLO in two layouts, and CVAT."""
    dataset = Dataset.import_from(str(coco), "coco_instances")
    parts = [item.wrap(subset=part) for part, item in zip(("train", "val"), dataset, strict=True)]
    divided = Dataset.from_iterable(parts, categories=dataset.categories())
    for name in ("coco_instances", "voc", "yolo", "yolo_ultralytics", "cvat"):
        options = {"segmentation_mode": "mask"} if name == "coco_instances" else {}
        divided.export(str(out / f"datumaro {name}"), name, save_media=True, **options)


def by_supervision() -> None:
    """COCO, VOC, YOLO and LabelMe."""
    annotations = coco / "annotations" / "instances_default.json"
    dataset = supervision.DetectionDataset.from_coco(str(coco / "images"), str(annotations))
    root = {name: out / f"supervision {name}" for name in ("coco", "voc", "yolo", "labelme")}
    dataset.as_coco(str(root["coco"] / "images"), str(root["coco"] / "annotations.json"))
    dataset.as_pascal_voc(str(root["voc"] / "images"), str(root["voc"] / "labels"))
    yolo = root["yolo"]
    dataset.as_yolo(str(yolo / "images"), str(yolo / "labels"), str(yolo / "data.yaml"))
    dataset.as_labelme(str(root["labelme"] / "images"), str(root["labelme"] / "labels"))


def by_label_studio() -> None:
    """COCO, YOLO, VOC and JSON-MIN, and tasks with brush masks."""
    config, tasks = str(studio / "label_config.xml"), json.loads((studio / "tasks.json").read_text())
    for number, task in enumerate(tasks, 1):
        name = Path(task["data"]["image"]).name
        task |= {"id": number, "data": {"image": f"/data/upload/{name}"}}
        for annotation in task["annotations"]:
            annotation |= {"id": number, "was_cancelled": False, "completed_by": 1, "lead_time": 1.5}
            annotation |= {"created_at": "2026-11-29", "updated_at": "2026-11-29"}
    source = out / "tasks.json"
    source.write_text(json.dumps(tasks))
    converter = Converter(config, str(studio), download_resources=True, upload_dir=str(studio))
    for name in ("COCO", "YOLO", "VOC", "JSON_MIN"):
        folder = out / f"label-studio {name}"
        converter.convert(str(source), str(folder), name, is_dir=False)
        shutil.copytree(studio / "images", folder / "images", dirs_exist_ok=True)
    source.unlink()


def by_label_studio_brush() -> None:
    """Tasks with the masks of the COCO data set, packed by label-studio-sdk."""
    document = json.loads((coco / "annotations" / "instances_default.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    tasks = []
    for image in document["images"]:
        height, width = image["height"], image["width"]
        regions = []
        for one in document["annotations"]:
            if one["image_id"] == image["id"] and one["segmentation"]:
                mask = coco_masks.decode(coco_masks.frPyObjects(one["segmentation"], height, width))
                value = {
                    "format": "rle",
                    "rle": mask2rle(mask * 255),
                    "brushlabels": [names[one["category_id"]]],
                }
                size = {"original_width": width, "original_height": height, "image_rotation": 0}
                regions.append({"id": str(one["id"]), "type": "brushlabels", "value": value, **size})
        tasks.append(
            {"data": {"image": f"images/{image['file_name']}"}, "annotations": [{"result": regions}]}
        )
    folder = out / "label-studio brush"
    shutil.copytree(coco / "images", folder / "images")
    (folder / "tasks.json").write_text(json.dumps(tasks))


def by_labelme() -> None:
    """Files with masks, with the picture within and beside them."""
    document = json.loads((coco / "annotations" / "instances_default.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    for folder, is_inside in ((out / "labelme inside", True), (out / "labelme beside", False)):
        folder.mkdir()
        for image in document["images"]:
            data = (coco / "images" / image["file_name"]).read_bytes()
            shapes = []
            for one in document["annotations"]:
                if one["image_id"] == image["id"] and one["segmentation"]:
                    rle = coco_masks.frPyObjects(one["segmentation"], image["height"], image["width"])
                    rows, columns = np.nonzero(mask := coco_masks.decode(rle))
                    left, top, right, bottom = columns.min(), rows.min(), columns.max(), rows.max()
                    shapes.append(
                        {
                            "label": names[one["category_id"]],
                            "points": [[int(left), int(top)], [int(right), int(bottom)]],
                            "shape_type": "mask",
                            "flags": {},
                            "group_id": None,
                            "description": "",
                            "mask": img_arr_to_b64(mask[top : bottom + 1, left : right + 1]),
                        }
                    )
            if not is_inside:
                (folder / image["file_name"]).write_bytes(data)
            LabelFile().save(
                str(folder / f"{Path(image['file_name']).stem}.json"),
                shapes,
                image["file_name"],
                image["height"],
                image["width"],
                image_data=data if is_inside else None,
            )


for write in (by_datumaro, by_supervision, by_label_studio, by_label_studio_brush, by_labelme):
    write()
json.dump(sorted(path.name for path in out.iterdir()), sys.stdout)
