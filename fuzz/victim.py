"""The process that mutated files are given to: it may die, and then the parent knows of which file."""

import json
import os
import resource
import struct
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

# Far more than these small files need; a file that wants it all is refused by the system, not by luck.
ADDRESS_SPACE = 3 << 30


def read_picture() -> Callable[[bytes], str]:
    """Return what an upload goes through in the web process and in the worker, whether or not it is whole.

    The web process looks at the header; makes a picture for browsers, a small copy, and a drawn one in the
    upload's format. The worker decodes, whole and reduced, and reads some rows at a time. All of that is done
    as with a small picture, then as with a large one.
    """
    import numpy as np

    from flask_detector.errors import PictureError
    from flask_detector.imaging import decode, encode, large_pictures, pixels, sniff
    from flask_detector.imaging.limits import Limits
    from flask_detector.web.core.renditions import small_copy

    limits = Limits(4_000_000, 4_000_000)
    pixels.STRIP_PIXELS = 3000  # so that even a photograph of 300 rows is changed in several strips

    def decoded(data: bytes) -> tuple[int, int]:
        picture, info = decode.decode(data, limits)
        if picture.shape != (info.height, info.width, 3):
            raise RuntimeError(f"{picture.shape} is not {info.width}x{info.height}")
        return info.width, info.height

    def reduced(data: bytes) -> tuple[int, int]:
        found, info = decode.load(data, limits, max_side=24)
        read = 0
        for top in range(0, found.rows, 16):
            read += len(found[top : top + 16])
        if read != found.rows or found[np.array([0, found.rows - 1])].shape != (2, found.columns, 3):
            raise RuntimeError(f"{read} rows were read of {found.rows}")
        if not 0 <= found.reduced * found.columns - info.width < found.reduced:
            raise RuntimeError(f"{found.columns} columns are not {info.width} by {found.reduced}")
        return info.width, info.height

    def shown(data: bytes) -> tuple[int, int]:
        info = decode.check(encode.transcode(data, limits, None)[0], limits)
        return info.width, info.height

    def drawn(data: bytes) -> tuple[int, int]:
        output = encode.output_format(sniff.format_of(data) or "")
        file, _ = encode.transcode(
            data, limits, output, lambda image, top: image.paste((255, 0, 0), (0, 0, 9, 9))
        )
        info = decode.check(file, limits)
        return info.width, info.height

    def run(data: bytes) -> str:
        outcomes, sizes = [], set()
        for large_pictures.LARGE_PIXELS in (limits.max_pixels, 0):
            for step in (decoded, reduced, shown, drawn):
                try:
                    sizes.add(step(data))
                except PictureError as error:
                    outcomes.append(error.code)
        if len(sizes) > 1:
            raise RuntimeError(f"one picture has the sizes {sizes}")
        for check in (decode.check, small_copy):
            try:
                check(data, limits)
            except PictureError as error:
                outcomes.append(error.code)
        return outcomes[0] if outcomes else "used"

    return run


def read_weights() -> Callable[[bytes], str]:
    """Return what a checkpoint goes through until the first array is folded, and what its texts do.

    One of RTMDet is converted whole.
    """
    from flask_detector.detectors.checkpoint.class_names import class_names
    from flask_detector.detectors.checkpoint.mmdet_config import config_of
    from flask_detector.detectors.checkpoint.read import read_checkpoint
    from flask_detector.detectors.mask_rcnn.identify import recognise
    from flask_detector.detectors.mask_rcnn.mmdet_options import options_in
    from flask_detector.detectors.rtmdet import convert as rtmdet
    from flask_detector.errors import CheckpointError, ForeignCheckpoint

    path = Path(tempfile.mkdtemp(prefix="fuzz-")) / "file.pth"
    converted = path.with_name("converted")

    def run(data: bytes) -> str:
        path.write_bytes(data)
        try:
            checkpoint = read_checkpoint(path)
            for tensor in checkpoint.tensors.values():
                tensor.array().sum()
            class_names(checkpoint.meta, 3, background_first=True)
            options_in(config_of(checkpoint.meta))
            if rtmdet.is_rtmdet(checkpoint):
                rtmdet.convert(checkpoint, converted, labels=(), on_progress=lambda share: None)
            else:
                recognise(checkpoint)
        except ForeignCheckpoint:
            return "used"  # read whole; that it holds two tensors of a network is then noticed
        except CheckpointError as error:
            return error.code
        return "used"

    return run


def read_exported() -> Callable[[bytes], str]:
    """Return what an ONNX file goes through before the engine sees it; its bytes as its description, too."""
    from flask_detector.detectors.onnx.description import read_description
    from flask_detector.detectors.onnx.header import check_header
    from flask_detector.errors import BadParameter, CheckpointError

    path = Path(tempfile.mkdtemp(prefix="fuzz-")) / "file.onnx"
    path.with_name("arrays.bin").touch()

    def run(data: bytes) -> str:
        path.write_bytes(data)
        path.with_suffix(".yaml").write_bytes(data)
        with suppress(BadParameter):
            read_description(path)
        try:
            check_header(path)
        except CheckpointError as error:
            return error.code
        return "used"

    return run


def read_labels() -> Callable[[bytes], str]:
    """Return what a file with the names of classes goes through."""
    from flask_detector.detectors.checkpoint.class_names import class_names
    from flask_detector.detectors.zoo.custom import check_labels, labels_from
    from flask_detector.errors import DetectorError

    path = Path(tempfile.mkdtemp(prefix="fuzz-")) / "labels.txt"

    def run(data: bytes) -> str:
        path.write_bytes(data)
        try:
            check_labels(class_names({}, 3, given=labels_from(str(path)), background_first=True).labels)
        except DetectorError as error:
            return error.code
        return "used"

    return run


def read_model_form() -> Callable[[bytes], str]:
    """Return what the form goes through that adds an operator's model; nothing may stay of a file in it."""
    from flask import Flask, request
    from werkzeug.exceptions import HTTPException

    from flask_detector.detectors.zoo import custom
    from flask_detector.errors import DetectorError
    from flask_detector.web.core import multipart

    app = Flask(__name__)
    app.request_class = multipart.Request
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))

    def run(data: bytes) -> str:
        kind = "multipart/form-data; boundary=fuzz"
        with app.test_request_context("/", method="POST", data=data, content_type=kind):
            request.files_folder = folder  # type: ignore[attr-defined]  # of our own class
            try:
                custom.check_name(request.form.get("name", "").strip())
                custom.check_labels(request.form.get("labels", "").split(","))
                custom.options_from(request.form.get("options", "").split())
                outcome = "used" if "file" in request.files else "no file"
            except (DetectorError, HTTPException) as error:
                outcome = error.code if isinstance(error, DetectorError) else error.name
            request.close()
        if left := list(folder.iterdir()):
            raise RuntimeError(f"{left} is left")
        return outcome

    return run


def read_result() -> Callable[[bytes], str]:
    """Return what a result's JSON form goes through, with each of its masks."""
    from flask_detector.structures.detections import Detections

    def run(data: bytes) -> str:
        try:
            form: Any = json.loads(data)
        except (ValueError, RecursionError):
            return "no JSON"
        try:
            Detections.from_json(form).to_json()
        except ValueError:
            return "ValueError"
        return "used"

    return run


def read_annotations() -> Callable[[bytes], str]:
    """Return what a correction goes through: its document, checked, against the model's, and shown."""
    from flask_detector.structures.annotation import AnnotationError
    from flask_detector.structures.annotations import Annotations

    def run(data: bytes) -> str:
        try:
            form: Any = json.loads(data)
        except (ValueError, RecursionError):
            return "no JSON"
        try:
            sent = Annotations.from_json(form)
            for masks in ("rle", "polygon", "none"):
                Annotations.from_json(sent.to_json(masks=masks))
            sent.to_detections("a-model").to_json()
            sent.agreeing_with(sent)
        except AnnotationError as error:
            return "named" if error.field else "refused"
        return "used"

    return run


def read_dataset() -> Callable[[bytes], str]:
    """Return what a data set goes through: a ZIP, or a label file beside the picture `a.jpg`."""
    from flask_detector.datasets import open_dataset
    from flask_detector.errors import DatasetError
    from flask_detector.imaging.limits import Limits
    from tests.support.pictures import picture

    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (root / "folder").mkdir()
    (root / "folder" / "a.jpg").write_bytes(picture())
    suffixes = {b"{": "json", b"[": "json", b"<": "xml"}

    def run(data: bytes) -> str:
        path = root / "set.zip"
        if not data.startswith(b"PK"):
            for old in (root / "folder").glob("a.[jtx][sxm][otl]*"):
                old.unlink()
            path = root / "folder"
            (path / f"a.{suffixes.get(data[:1], 'txt')}").write_bytes(data)
        else:
            path.write_bytes(data)
        try:
            with open_dataset(path, limits=Limits(4_000_000, 4_000_000)) as dataset:
                count = sum(len(one.annotations.to_json()["objects"]) for one in dataset)
        except DatasetError as error:
            return error.code
        return "used" if count else "nothing in it"

    return run


def run_python() -> Callable[[bytes], str]:
    """Return what runs Python instead of reading a file: for the test that harm is noticed."""

    def run(data: bytes) -> str:
        exec(data.decode())  # noqa: S102  # the test's own lines
        return "used"

    return run


TARGETS = {
    "pictures": read_picture,
    "checkpoints": read_weights,
    "labels": read_labels,
    "forms": read_model_form,
    "results": read_result,
    "annotations": read_annotations,
    "datasets": read_dataset,
    "onnx": read_exported,
}


def main(target: str) -> None:
    """Take files from stdin and tell on stdout what became of each: a JSON line."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    run = (TARGETS | {"python": run_python})[target]()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not answer in our place
    while len(head := sys.stdin.buffer.read(4)) == 4:
        data = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
        try:
            answer: dict[str, object] = {"outcome": run(data)}
        except BaseException as error:  # whatever it is, it is what we look for
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}, line {where.lineno}"
            answer = {"error": f"{type(error).__name__} in {place}: {error}"[:300]}
        answer["peak_kb"] = _peak_kb()
        print(json.dumps(answer), file=answers, flush=True)


def _peak_kb() -> int:
    """Return the highest resident memory of this program; getrusage would count its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main(sys.argv[1])
