"""What a file is that holds no state dict of PyTorch: its name for people, and what to do with it."""

import re
from collections.abc import Collection

from flask_detector.errors import CheckpointError, UnsafeCheckpoint

# What to do with a pickle that holds more than tensors. The two lines are run where its program is installed.
SAVE_STATE_DICT = (
    "Where you trust the file, save its tensors alone:\n"
    '    model = torch.load("FILE", map_location="cpu", weights_only=False)  # a dict: its ["model"]\n'
    '    torch.save(model.state_dict(), "weights.pth")'
)
_SAVE_SCRIPTED = (
    "Save its tensors alone:\n"
    '    model = torch.jit.load("FILE", map_location="cpu")\n'
    '    torch.save(model.state_dict(), "weights.pth")'
)
_SAVE_EXPORTED = (
    "Save its tensors alone:\n"
    '    program = torch.export.load("FILE")\n'
    '    torch.save(dict(program.state_dict), "weights.pth")'
)
_BRING_PYTORCH = "Bring the PyTorch checkpoint (.pth) that it was made from."
_UNPACK = "Unpack it, and add the .pth, .pkl or .safetensors file that is in it."
_FETCH_AGAIN = "Download the file itself and add that."
_EXPORT_YOLO = (
    'Export it where Ultralytics is installed, and add that file: YOLO("FILE").export(format="onnx")'
)
_OTHER_NETWORKS = "Bring a checkpoint of Mask R-CNN R-50 FPN, RTMDet or NanoDet-g, or your detector as ONNX."


# How exported models begin. ONNX is protobuf: the version of the format, then another field of the model.
ONNX = rb"\x08[\x01-\x7f][\x12\x1a\x22\x28\x32\x3a\x42\x72]"
OPENVINO = rb"\s*(<\?xml[^>]*>\s*)?<net"
# A PaddlePaddle tensor: its version and the number of its levels, both 0.
_PADDLE = rb"\x00{4}(\x00{8}|[\x01-\x80]\x00{7})"

# A class of somebody's own, by its qualified name; what reaches the system is none.
OWN_CLASS = (
    r"(?!(subprocess|os|posix|nt|builtins|__builtin__|sys|shutil|socket|ctypes|multiprocessing)\.)"
    r"(\w+\.)+_?[A-Z]\w*"
)

# Files of which only the name is known, each with its article, and what to do with it; by their first bytes.
_KINDS = (
    (
        rb"version https://git-lfs",
        "a pointer of Git LFS, not the file itself",
        "Run 'git lfs pull' where it comes from, and add the file again.",
    ),
    (rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype html|html|head|!--)", "a web page, not a download", _FETCH_AGAIN),
    (rb"(\xef\xbb\xbf)?\s*<\?xml", "an XML document", _FETCH_AGAIN),
    (rb"(\xef\xbb\xbf)?\s*\{", "a JSON document", _FETCH_AGAIN),
    (rb"\x00{64}", "zeros at its beginning, as of a download that was not finished", _FETCH_AGAIN),
    (rb"GGUF", "a GGUF file", _OTHER_NETWORKS),
    (rb"\x89HDF\r\n\x1a\n", "a Keras model (HDF5)", _OTHER_NETWORKS),
    (rb"....TFL3", "a TensorFlow Lite model", _OTHER_NETWORKS),
    (rb"\x93NUMPY", "a single array of numpy", _BRING_PYTORCH),
    (rb"\x1f\x8b|BZh|\xfd7zXZ\x00|\x28\xb5\x2f\xfd", "a compressed file", _UNPACK),
    (rb"7z\xbc\xaf|Rar!", "an archive", _UNPACK),
    (rb".{257}ustar", "a tar archive", _UNPACK),
    (rb"\x7fELF|MZ", "a program", _FETCH_AGAIN),
    (rb"%PDF|\x89PNG|\xff\xd8\xff|GIF8|RIFF", "a picture or a document", _FETCH_AGAIN),
    (_PADDLE, "a PaddlePaddle model", _BRING_PYTORCH),
)

# Zip archives, by a name that is in them.
_ARCHIVES = (
    (r"(^|/)constants\.pkl$|(^|/)code/.*\.py$", "a TorchScript model", _SAVE_SCRIPTED),
    (
        r"(^|/)(models/.*\.json|serialized_exported_program\.json|archive_format)$",
        "a program of torch.export",
        _SAVE_EXPORTED,
    ),
    (r"(^|/)model\.weights\.h5$", "a Keras model", _OTHER_NETWORKS),
    (r"(^|/)saved_model\.pb$", "a TensorFlow model", _OTHER_NETWORKS),
    (
        r"\.onnx$",
        "an archive with an ONNX model",
        "Unpack it, and add what is in it: the .onnx, with the files beside it.",
    ),
    (r"\.npy$", "an archive of numpy's arrays", _BRING_PYTORCH),
    (r"(?<!/data)\.(pth|pt|pkl|safetensors)$", "an archive that holds checkpoints", _UNPACK),
)

# Pickles, by how a name in them begins.
_PROGRAMS = (
    (r"ultralytics\.|models\.(yolo|common|experimental)\.", "a YOLO model of Ultralytics", _EXPORT_YOLO),
    (
        r"(torch\.nn|torch\.fx|torchvision|detectron2|mmdet|mmcv|mmengine|timm|__main__)\.",
        "a whole pickled model",
        SAVE_STATE_DICT,
    ),
    (r"(sklearn|joblib|xgboost|lightgbm)\.", "a model of scikit-learn or its like", _OTHER_NETWORKS),
    (r"(paddle|ppdet)\.", "a PaddlePaddle model", _BRING_PYTORCH),
    (rf"{OWN_CLASS}$", "a pickle of a program's own objects", SAVE_STATE_DICT),
    (
        r"torch\._utils\._rebuild_",
        "a checkpoint with quantised, sparse or 8-bit tensors",
        "Save the weights of the trained model itself, in float32, float16 or bfloat16.",
    ),
    (
        r"torch\.storage\._load_from_bytes$",
        "a pickle of PyTorch's tensors that torch.save did not write",
        'Save them with it:\n    torch.save(pickle.load(open("FILE", "rb")), "weights.pth")',
    ),
)


def other_file(head: bytes) -> CheckpointError:
    """Return the error for a file that begins with no signature of a checkpoint."""
    for pattern, what, hint in _KINDS:
        if re.match(pattern, head, re.DOTALL):
            return CheckpointError(f"The file is {what}.", hint=hint)
    return CheckpointError("The file is neither a PyTorch checkpoint nor a safetensors file.")


def other_archive(names: Collection[str]) -> CheckpointError | None:
    """Return the error for a zip archive with parts of these names; None where PyTorch may have saved it."""
    for pattern, what, hint in _ARCHIVES:
        if any(re.search(pattern, name) for name in names):
            return CheckpointError(f"The file is {what}.", hint=hint)
    return None


def other_content(meta: Collection[str]) -> CheckpointError | None:
    """Return the error for a file with these keys; None for one that PyTorch or Detectron2 may have saved."""
    if "StructuredToParameterName@@" in meta:
        return CheckpointError("The file is a PaddlePaddle model.", hint=_BRING_PYTORCH)
    return None


def other_pickle(name: str) -> UnsafeCheckpoint:
    """Return the error for a pickle that names something else than tensors and plain containers."""
    for pattern, what, hint in _PROGRAMS:
        if re.match(pattern, name):
            return UnsafeCheckpoint(
                f"The file is {what}: it names '{name}'. Nothing was executed.", hint=hint
            )
    return UnsafeCheckpoint(f"The file names '{name}', which is not part of a checkpoint's tensors.")
