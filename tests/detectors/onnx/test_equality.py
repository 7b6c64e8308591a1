"""Exported models find here what their own programs find.

Each program makes networks with random weights, exports them by its own exporter, and detects in reference
pictures itself (`programs/`), in an environment of its own. The folder of these environments is named by
DETECTOR_TEST_PROGRAMS; docs/onnx.md says how they are made. They take gigabytes, PyTorch being among them, so
that they are no part of the project's own.
"""

import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flask_detector.detectors.convert import convert
from flask_detector.detectors.onnx.model import OnnxDetector
from tests.support.equality import equality

PROGRAMS = Path(os.environ.get("DETECTOR_TEST_PROGRAMS", "/nowhere"))
SCRIPTS = Path(__file__).parent / "programs"
PROJECT = Path(__file__).parents[3]
PICTURES = ("pictures/street.jpg", "pictures/apartment.jpg", "coco_val50/images/000000006818.jpg")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Compare = Callable[..., None]


def cropped(picture: Path, side: int, folder: Path) -> Path:
    """Return a copy that has whole pixels where its longer side becomes `side`: both scales are the same."""
    image = Image.open(picture).convert("RGB")
    longer = max(image.size)
    step = longer // math.gcd(longer, side)
    width, height = (pixels - pixels % step for pixels in image.size)
    copy = folder / f"{picture.stem}.png"
    image.crop((0, 0, width, height)).save(copy)
    return copy


@pytest.fixture
def compare(shared: Path, tmp_path: Path) -> Compare:
    """A function that has a program export and detect, and compares."""

    def compare(
        program: str,
        export: dict[str, Any],
        *,
        family: str,
        file: str = "model.onnx",
        min_score: float = 0.25,
        score_tolerance: float = 0.001,
        same_scales: int | None = None,
        **asked: Any,
    ) -> None:
        pictures = [str(shared / picture) for picture in PICTURES]
        if same_scales:
            pictures = [str(cropped(Path(picture), same_scales, tmp_path)) for picture in pictures]
        python = PROGRAMS / program / "bin" / "python"
        if not python.exists():
            pytest.skip(f"there is no environment of {program} in DETECTOR_TEST_PROGRAMS")
        subprocess.run(
            [python, SCRIPTS / f"with_{program}.py", tmp_path, json.dumps(pictures), json.dumps(export)],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=800,
            env={
                **os.environ,
                "PYTHONPATH": str(PROJECT),
                "OMP_NUM_THREADS": "1",
                "YOLO_OFFLINE": "1",
                "YOLO_AUTOINSTALL": "false",
                "YOLO_CONFIG_DIR": str(tmp_path),
            },
        )
        reading = convert(tmp_path / file, tmp_path / "converted", **asked)
        assert reading.variant == family
        detector = OnnxDetector(tmp_path / "converted", name=family)
        expected = json.loads((tmp_path / "found.json").read_text())
        for number, (picture, theirs) in enumerate(zip(pictures, expected, strict=True)):
            pixels = np.asarray(Image.open(picture).convert("RGB"))
            masks_file = tmp_path / f"masks-{number}.npz"
            masks = np.load(masks_file)["masks"] if masks_file.exists() else None
            ours = detector.detect(pixels, min_score=min_score)
            found = equality(ours, theirs, masks, surely=min_score + score_tolerance)
            assert found.common >= 5, "too few objects to compare"
            assert (found.lacking, found.surplus) == (0, 0)
            assert found.worst_box_iou > 0.99
            assert found.worst_score < score_tolerance
            assert found.worst_mask_iou > 0.97
            assert (masks is not None) == detector.has_masks

    return compare


@pytest.mark.parametrize(
    ("network", "options", "family"),
    [
        ("yolov5n", {}, "yolo"),
        ("yolov8n", {}, "yolo"),
        ("yolov8n", {"nms": True}, "yolo-finished"),
        ("yolov8n-seg", {}, "yolo"),
        ("yolov8n-seg", {"nms": True}, "yolo-finished"),
        ("yolov10n", {}, "yolo"),
        ("yolo11n", {"dynamic": True}, "yolo"),
        ("yolo12n", {}, "yolo"),
        ("yolo26n", {"end2end": True}, "yolo-finished"),
        ("yolo26n-seg", {}, "yolo"),
        ("yolo26n-seg", {"end2end": True}, "yolo-finished"),
        ("rtdetr-l", {}, "yolo-finished"),
    ],
)
def test_what_ultralytics_exports(
    compare: Compare, network: str, options: dict[str, Any], family: str
) -> None:
    compare("ultralytics", {"network": f"{network}.yaml", "options": options}, family=family)


def test_what_ultralytics_exports_in_half_precision(compare: Compare) -> None:
    export = {"network": "yolo11n.yaml", "options": {"half": True}}
    compare("ultralytics", export, family="yolo")


def test_what_ultralytics_exports_for_openvino(compare: Compare) -> None:
    export = {"network": "yolo11n.yaml", "options": {"format": "openvino"}}
    compare("ultralytics", export, family="yolo", file="model/model.xml")


def numbered(classes: int) -> tuple[str, ...]:
    """Names of classes, so that none stand for COCO's, which are in another order."""
    return tuple(f"class {i}" for i in range(classes))


@pytest.mark.parametrize(
    ("network", "is_open"),
    [("yolov5n", False), ("yolov5n6", False), ("yolov5n6", True), ("yolov5n-seg", False)],
)
def test_what_yolov5_exports(compare: Compare, network: str, *, is_open: bool) -> None:
    # Of an open size it tells its stride, but not what it was trained with.
    asked = {"options": {"size": 320}} if is_open else {}
    compare("yolov5", {"network": network, "open": is_open}, family="yolov5", **asked)


@pytest.mark.parametrize(
    ("options", "classes", "family"),
    [
        ([], 80, "yolov5"),
        ([], 1, "yolov5"),
        (["--end2end", "--max-wh", "640"], 80, "yolo-batch"),
    ],
)
def test_what_yolov7_exports(compare: Compare, options: list[str], classes: int, family: str) -> None:
    export = {"network": "yolov7-tiny", "options": options, "classes": classes}
    compare("yolov7", export, family=family, labels=numbered(classes))


def test_what_yolox_exports(compare: Compare) -> None:
    compare("yolox", {"network": "yolox_nano"}, family="yolox")


def test_what_yolov9_exports(compare: Compare) -> None:
    compare("yolo9", {"network": "gelan-t"}, family="yolo")


def test_what_d_fine_exports(compare: Compare) -> None:
    compare("dfine", {"network": "n"}, family="target-sizes")


@pytest.mark.parametrize(
    "config",
    [
        "rtdetr_pytorch/configs/rtdetr/rtdetr_r18vd_6x_coco.yml",
        "rtdetrv2_pytorch/configs/rtdetrv2/rtdetrv2_r18vd_120e_coco.yml",
        "configs/deim_dfine/deim_hgnetv2_n_coco.yml",
    ],
)
def test_what_rt_detr_and_deim_export(compare: Compare, config: str) -> None:
    compare("rtdetr", {"config": config}, family="target-sizes")


@pytest.mark.parametrize("network", ["rtmdet_tiny", "rtmdet-ins_tiny"])
def test_what_mmdeploy_exports(compare: Compare, network: str) -> None:
    blue_first = {"bgr": True, "mean": "103.53,116.28,123.675", "std": "57.375,57.12,58.395"}
    asked = {"options": {**blue_first, "padding": 114}}
    # MMDetection 3.3.0 enlarges masks across by the scale downwards, and downwards by the one across
    # (RTMDetInsHead._bbox_mask_post_process): they are at their objects where both are equal alone.
    same_scales = 320 if "ins" in network else None
    export = {"network": f"{network}_8xb32-300e_coco"}
    compare("mmdeploy", export, family="mmdeploy", same_scales=same_scales, **asked)


def test_what_effdet_exports(compare: Compare) -> None:
    export = {"network": "tf_efficientdet_d0"}
    compare("effdet", export, family="effdet", labels=numbered(90))


def test_what_tensorflow_exports(compare: Compare) -> None:
    compare("tensorflow", {}, family="tensorflow", labels=numbered(20))


@pytest.mark.parametrize("network", ["RFDETRNano", "RFDETRSegNano"])
def test_what_rf_detr_exports(compare: Compare, network: str) -> None:
    compare("rfdetr", {"network": network, "classes": 90}, family="rf-detr", labels=numbered(90))


@pytest.mark.parametrize("network", ["rt_detr", "rt_detr_v2", "d_fine"])
def test_what_transformers_exports(compare: Compare, network: str) -> None:
    compare("transformers", {"network": network}, family="detr")


@pytest.mark.parametrize("network", ["detr", "conditional_detr"])
def test_what_transformers_exports_of_detr_and_conditional_detr(compare: Compare, network: str) -> None:
    asked = {"labels": numbered(91), "options": {"first_class": 0, "size": (320, 533)}}
    compare("transformers", {"network": network, "open": True}, family="detr", **asked)


@pytest.mark.parametrize(
    "network",
    [
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "maskrcnn_resnet50_fpn",
        "retinanet_resnet50_fpn",
        "fcos_resnet50_fpn",
        "ssd300_vgg16",
        "ssdlite320_mobilenet_v3_large",
    ],
)
def test_what_torchvision_exports(compare: Compare, network: str) -> None:
    asked = {"labels": numbered(91), "options": {"first_class": 0}}
    compare("torchvision", {"network": network, "open": True}, family="lists", **asked)
