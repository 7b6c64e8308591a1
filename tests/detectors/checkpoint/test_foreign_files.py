"""Files that hold no state dict are called by their name, and it is said what to do with them."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from flask_detector.detectors.checkpoint.read import read_checkpoint
from flask_detector.errors import CheckpointError, UnsafeCheckpoint


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"\x80\x02}.")
    return file.getvalue()


def tarred(mode: Literal["w", "w:gz"]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"), io.BytesIO())
    return file.getvalue()


FILES = {
    "a web page": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "web page", "Download"),
    "a web page that begins otherwise": (b"\xef\xbb\xbf<!-- 404 --><html>", "web page", "Download"),
    "zeros": (bytes(4096), "zeros", "Download"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS", "git lfs pull"),
    "PaddlePaddle": (bytes(4) + b"\x01" + bytes(11) + b"\x05\0\0\0", "PaddlePaddle", "PyTorch checkpoint"),
    "GGUF": (b"GGUF\x03" + bytes(40), "GGUF", "Mask R-CNN"),
    "Keras": (b"\x89HDF\r\n\x1a\n" + bytes(40), "Keras", "Mask R-CNN"),
    "Keras 3": (zipped("metadata.json", "config.json", "model.weights.h5"), "Keras", "Mask R-CNN"),
    "TensorFlow": (zipped("m/saved_model.pb", "m/variables/variables.index"), "TensorFlow", "Mask R-CNN"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3" + bytes(40), "TensorFlow Lite", "Mask R-CNN"),
    "TorchScript": (zipped("m/data.pkl", "m/code/__torch__.py"), "TorchScript", "torch.jit.load"),
    "torch.export": (zipped("m/archive_format", "m/models/model.json"), "torch.export", "torch.export.load"),
    "an archive of checkpoints": (zipped("run/best.pth", "run/last.pth"), "archive that holds", "Unpack"),
    "a tar archive": (tarred("w"), "tar archive", "Unpack"),
    "a compressed tar archive": (tarred("w:gz"), "compressed", "Unpack"),
    "numpy's archive": (zipped("a.npy", "b.npy"), "archive of numpy", "PyTorch checkpoint"),
    "JSON": (b'{"model": "mask_rcnn"}', "JSON", "Download"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(40), "picture", "Download"),
    "a program": (b"\x7fELF" + bytes(40), "program", "Download"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_called_by_its_name_with_what_to_do(name: str, tmp_path: Path) -> None:
    content, what, hint = FILES[name]
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=what) as caught:
        read_checkpoint(path)
    assert caught.value.message.startswith("weights.pth: The file is ")
    assert hint in caught.value.hint


PICKLES = {
    "ultralytics.nn.tasks DetectionModel": ("YOLO", 'format="onnx"'),
    "models.yolo Model": ("YOLO", 'format="onnx"'),
    "torchvision.models.detection.mask_rcnn MaskRCNN": ("whole pickled model", "model.state_dict()"),
    "torch.nn.modules.container Sequential": ("whole pickled model", "model.state_dict()"),
    "__main__ MyDetector": ("whole pickled model", "model.state_dict()"),
    "parts.training Checkpoint": ("a program's own objects", "model.state_dict()"),
    "subprocess Popen": ("names 'subprocess.Popen'", "Nothing was executed"),
    "sklearn.ensemble._forest RandomForestClassifier": ("scikit-learn", "Mask R-CNN"),
    "torch._utils _rebuild_qtensor": ("quantised, sparse or 8-bit tensors", "float32"),
    "torch.storage _load_from_bytes": ("pickle of PyTorch's tensors", "torch.save"),
    "posix system": ("names 'posix.system'", "Nothing was executed"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_of_code_is_refused_by_what_it_names(name: str, tmp_path: Path) -> None:
    what, hint = PICKLES[name]
    module, _, attribute = name.partition(" ")
    path = tmp_path / "model.pt"
    path.write_bytes(b"\x80\x02}X\x05\x00\x00\x00modelc%b\n%b\n)Rs." % (module.encode(), attribute.encode()))
    with pytest.raises(UnsafeCheckpoint, match=what) as caught:
        read_checkpoint(path)
    assert hint in caught.value.hint


def test_a_pickle_of_paddles_arrays_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.pdparams"
    saved = {
        "conv.weight": np.zeros(3, np.float32),
        "StructuredToParameterName@@": {"conv.weight": "conv_0.w_0"},
    }
    path.write_bytes(pickle.dumps(saved, 4))
    with pytest.raises(CheckpointError, match="PaddlePaddle"):
        read_checkpoint(path)


def test_a_pickle_without_tensors_has_no_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "results.pkl"
    path.write_bytes(pickle.dumps([{"bbox": [1, 2, 3, 4]}], 4))
    with pytest.raises(CheckpointError, match="no state dict"):
        read_checkpoint(path)
