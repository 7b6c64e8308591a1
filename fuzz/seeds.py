"""Good files to begin with, by name: small ones made here, and those of a folder that is given."""

import io
import json
import pickle
import struct
import tempfile
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from PIL import Image

from flask_detector.formats import dataset
from flask_detector.formats.brush_rle import packed
from flask_detector.structures.annotations import Annotations
from flask_detector.structures.detections import Detections
from flask_detector.structures.masks import Mask
from tests.support import pictures as test_pictures
from tests.support.exported_models import model_of
from tests.support.small_models import write_small_rtmdet

_SIDE = 96


def seeds(target: str, folder: Path | None) -> dict[str, bytes]:
    """Return the good files of a target, one of those that `victim.TARGETS` names."""
    makers = {
        "pictures": _pictures,
        "checkpoints": _checkpoints,
        "labels": _labels,
        "forms": _forms,
        "results": _results,
        "annotations": _annotations,
        "datasets": _datasets,
        "onnx": _exported,
    }
    made = makers[target]()
    if folder is not None:
        made |= {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    return made


def _pictures() -> dict[str, bytes]:
    from pillow_heif import from_pillow

    with Image.open(str(resources.files("flask_detector.web") / "static" / "example-small.jpg")) as image:
        photo = image.convert("RGB")
    photo.thumbnail((_SIDE, _SIDE))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    second = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ways: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "jpeg": (photo, "JPEG", {"exif": exif}),
        "jpeg progressive": (photo, "JPEG", {"progressive": True, "subsampling": 0}),
        "jpeg of strips": (photo.resize((48, 300)), "JPEG", {}),
        "jpeg of strips, turned": (photo.resize((300, 48)), "JPEG", {"exif": exif}),
        "jpeg grey": (photo.convert("L"), "JPEG", {"restart_marker_blocks": 4}),
        "jpeg cmyk": (photo.convert("CMYK"), "JPEG", {}),
        "jpeg of two": (photo, "MPO", {"save_all": True, "append_images": [second.copy()]}),
        "png": (photo, "PNG", {"exif": exif}),
        "png alpha": (photo.convert("RGBA"), "PNG", {}),
        "png palette": (photo.quantize(16), "PNG", {"transparency": 3}),
        "png one bit": (photo.convert("1"), "PNG", {}),
        "png 16 bit": (Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257), "PNG", {}),
        "png moving": (photo, "PNG", {"save_all": True, "append_images": [second.copy()]}),
        "webp": (photo, "WEBP", {"exif": exif}),
        "webp lossless": (photo.convert("RGBA"), "WEBP", {"lossless": True}),
        "webp moving": (photo, "WEBP", {"save_all": True, "append_images": [second.copy()]}),
        "avif": (photo, "AVIF", {"exif": exif}),
        "avif alpha": (photo.convert("RGBA"), "AVIF", {}),
        "avif moving": (photo, "AVIF", {"save_all": True, "append_images": [second.copy()]}),
        "gif": (photo.quantize(64), "GIF", {"comment": b"a comment"}),
        "gif moving": (photo.quantize(64), "GIF", {"save_all": True, "append_images": [second.copy()]}),
        "bmp": (photo, "BMP", {}),
        "bmp palette": (photo.quantize(16), "BMP", {}),
        "tiff": (photo, "TIFF", {"exif": exif}),
        "tiff float": (Image.fromarray(np.asarray(photo.convert("L")).astype(np.float32) / 255), "TIFF", {}),
        "tiff fax": (photo.convert("1"), "TIFF", {"compression": "group4"}),
        "tiff of two": (photo, "TIFF", {"save_all": True, "append_images": [second.copy()]}),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        ways[f"tiff {compression}"] = (photo, "TIFF", {"compression": compression})
    made = {}
    for name, (picture, form, options) in ways.items():
        file = io.BytesIO()
        picture.copy().save(file, form, **options)  # a saved one remembers how
        made[name] = file.getvalue()
    for name, picture in {"heic": photo, "heic alpha": photo.convert("RGBA")}.items():
        file = io.BytesIO()
        from_pillow(picture).save(file, exif=exif.tobytes())
        made[name] = file.getvalue()
    return made


def _checkpoints() -> dict[str, bytes]:
    header = {
        "__metadata__": {"format": "pt"},
        "backbone.conv1.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "backbone.bn1.steps": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]},
        "roi_head.weight": {"dtype": "BF16", "shape": [4, 2], "data_offsets": [32, 48]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    named = json.dumps({"__metadata__": _SAID, "head.weight": header["backbone.conv1.weight"]}).encode()
    arrays = {"backbone.bottom_up.conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    saved = {
        "model": arrays,
        "ema": {**arrays},
        "matching_heuristics": True,
        "meta": _SAID,
        "names": {0: "a"},
    }
    return {
        "safetensors": struct.pack("<Q", len(text)) + text + bytes(range(48)),
        "safetensors named": struct.pack("<Q", len(named)) + named + bytes(24),
        "rtmdet": _rtmdet(),
        "zip": _zip(),
        "stream": _stream(),
        **{f"arrays {protocol}": pickle.dumps(saved, protocol) for protocol in (2, 4, 5)},
    }


# What a file says of itself: names of classes, and MMDetection's configuration.
_SAID = {
    "id2label": json.dumps({"1": "cat", "2": "dog", "3": "bird"}),
    "cfg": "model = dict(backbone=dict(style='caffe'), test_cfg=dict(rcnn=dict(max_per_img=9)))\n"
    "test_pipeline = [dict(type='Resize', scale=(1333, 800))]\nclasses = ('cat', 'dog', 'bird')",
}


_STORAGE_TYPE, _REBUILD = b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n"


def _state_dict(view: bool) -> bytes:
    """Return the pickle (protocol 2) of two tensors' state dict; `view`: as the old stream names storages."""
    ending = b"N" if view else b""
    out = [b"\x80\x02}(X\x0a\x00\x00\x00state_dict}("]
    for name, key, shape, strides in (("conv.weight", "0", (2, 3), (3, 1)), ("conv.bias", "1", (2,), (1,))):
        count = int(np.prod(shape))
        out += [_text(name), _REBUILD, b"((", _text("storage"), _STORAGE_TYPE, _text(key), _text("cpu")]
        out += [b"K" + bytes([count]), ending, b"tQK\x00"]
        for numbers in (shape, strides):
            out += [b"(", *(b"K" + bytes([number]) for number in numbers), b"t"]
        out += [b"\x89ccollections\nOrderedDict\n)RtR"]
    return b"".join([*out, b"uX\x04\x00\x00\x00meta}", _text("epoch"), b"K\x0csu."])


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", _state_dict(view=False))
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", bytes(24))
        archive.writestr("archive/data/1", bytes(8))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def _stream() -> bytes:
    system = {
        "protocol_version": 1001,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    parts: list[object] = [0x1950A86A20F9469CFC6C, 1001, system]
    data = b"".join(pickle.dumps(part, 2) for part in parts) + _state_dict(view=True)
    data += pickle.dumps(["0", "1"], 2)
    return data + struct.pack("<q", 6) + bytes(24) + struct.pack("<q", 2) + bytes(8)


def _rtmdet() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.safetensors"
        write_small_rtmdet(path)
        return path.read_bytes()


def _exported() -> dict[str, bytes]:
    answers = {"output0": np.zeros((1, 6, 21), np.float32)}
    inner = helper.make_graph([helper.make_node("Identity", ["images"], ["same"])], "inner", [], [])
    branch = helper.make_node("If", ["condition"], ["same"], then_branch=inner, else_branch=inner)
    functions = model_of(answers, nodes=[helper.make_node("Same", ["images"], ["same"], domain="mine")])
    body = helper.make_node("Identity", ["x"], ["y"])
    functions.functions.append(
        helper.make_function("mine", "Same", ["x"], ["y"], [body], [helper.make_opsetid("", 17)])
    )
    elsewhere = model_of(answers)
    tensor = elsewhere.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="arrays.bin")
    models = {
        "plain": model_of(answers, metadata={"stride": "32", "names": "{0: 'a', 1: 'b'}"}),
        "branches": model_of(answers, nodes=[branch]),
        "functions": functions,
        "arrays elsewhere": elsewhere,
    }
    return {name: model.SerializeToString() for name, model in models.items()}


def _labels() -> dict[str, bytes]:
    names = ["cat", "Hund, groß", "鳥"]
    forms = {
        "lines": "\n".join(names),
        "list": json.dumps(names),
        "dict": json.dumps(dict(enumerate(names))),
        "list in lines": json.dumps(names, indent=1, ensure_ascii=False),
    }
    return {name: text.encode() for name, text in forms.items()}


def _forms() -> dict[str, bytes]:
    fields = {"name": "birds", "labels": "jay,tit", "options": "min_size=640 max_size=1024", "variant": ""}
    texts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}' for name, text in fields.items()]
    head = 'Content-Disposition: form-data; name="file"; filename="birds.pth"\r\nContent-Type: {}\r\n\r\n'
    forms = {}
    for kind, data in (("application/octet-stream", _zip()), ("text/plain", b"no weights")):
        parts = [*(text.encode() for text in texts), head.format(kind).encode() + data]
        forms[kind] = b"".join(b"--fuzz\r\n" + part + b"\r\n" for part in parts) + b"--fuzz--\r\n"
    return forms


def _datasets() -> dict[str, bytes]:
    found = _found()
    names = ("coco", "coco-rle", "cvat", "label-studio", "labelme", "labelme-polygons", "voc", "yolo-seg")
    files = {}
    for name in names:
        files[f"{name}, zipped"] = zipped = dataset.write(name, [("a.jpg", found, test_pictures.picture())])
        with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
            paths = [p for p in archive.namelist() if p.endswith((".json", ".xml", "/a.txt"))]
            files[name] = archive.read(next(path for path in paths if "config" not in path))
    brush = packed(Mask.from_bitmap(np.ones((4, 5), np.bool_), x=9, y=9), width=64, height=48)
    value = {
        "format": "rle",
        "rle": brush,
        "brushlabels": ["cat"],
        "original_width": 64,
        "original_height": 48,
    }
    minimal = [{"image": "a.jpg", "annotator": 1, "lead_time": 2, "tag": [value]}]
    return files | {"label-studio, brush, json-min": json.dumps(minimal).encode()}


def _results() -> dict[str, bytes]:
    found = _found()
    with_masks = found.to_json()
    plain = json.loads(json.dumps(with_masks))
    plain["instances"][0]["mask"] = {"size": [48, 64], "counts": [100, 20, 2952]}
    forms = {
        "masks": with_masks,
        "plain run lengths": plain,
        "polygons": found.to_json(masks="polygon"),
        "boxes": found.to_json(masks="none"),
    }
    return {name: json.dumps(form).encode() for name, form in forms.items()}


def _annotations() -> dict[str, bytes]:
    said = Annotations.from_detections(_found())
    ring = [[1.5, 2], [9, 2.25], [9, 9], [1.5, 9]]
    drawn = {
        "id": "p",
        "label": "写",
        "verified": True,
        "polygons": [[ring], [[[20, 20], [30, 20], [30, 30]]]],
    }
    mine = said.to_json() | {"objects": [{"id": "q", "label": "cat", "box": [1, 2, 3, 4]}, drawn]}
    forms = {masks: said.to_json(masks=masks) for masks in ("rle", "polygon", "none")} | {"drawn": mine}
    return {name: json.dumps(form).encode() for name, form in forms.items()}


def _found() -> Detections:
    bitmap = np.zeros((9, 7), np.bool_)
    bitmap[2:6, 1:5] = True
    return Detections(
        width=64,
        height=48,
        boxes=np.array([[1, 2, 30, 40], [5, 6, 7, 8]], np.float32),
        scores=np.array([0.9, 0.4], np.float32),
        class_ids=np.array([1, 0]),
        labels=("person", "car"),
        model="a-model",
        masks=(Mask.from_bitmap(bitmap, x=3, y=4), Mask.from_bitmap(bitmap)),
        timings={"features": 0.25},
    )
