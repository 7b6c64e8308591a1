"""The names that may stand in PyTorch's pickles, and what is made where they are called.

Source: torch/_utils.py and torch/serialization.py.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask_detector.detectors.checkpoint import numpy_arrays, safe_pickle
from flask_detector.detectors.checkpoint.foreign_files import OWN_CLASS, SAVE_STATE_DICT
from flask_detector.detectors.checkpoint.safe_pickle import Inert
from flask_detector.detectors.checkpoint.tensors import ELEMENTS, Storage, Tensor
from flask_detector.errors import CheckpointError, UnsafeCheckpoint

_ELEMENT_OF_STORAGE = {one.torch: name for name, one in ELEMENTS.items()}


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    if not isinstance(storage, _View):
        raise TypeError("a tensor must be a view of a storage")
    return Tensor(storage.storage, storage.offset + offset, tuple(shape), tuple(strides))


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _with_attributes(rebuild: Any, _: Any, arguments: Any, *__: Any) -> Any:
    # A tensor of a class of its own, or with attributes; only the tensor is wanted.
    if not isinstance(rebuild, safe_pickle.Global) or not rebuild.name.startswith("torch._utils._rebuild_"):
        raise UnsafeCheckpoint("The file makes a tensor in a way that PyTorch does not.")
    return rebuild.build(*arguments)


def _options(*_: Any) -> safe_pickle.Attributes:
    return safe_pickle.Attributes()


def _default_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return {safe_pickle.hashable(key): value for key, value in pairs}


def _set(items: Any = ()) -> set[Any]:
    return set(map(safe_pickle.hashable, items))


def _encoded(text: str, encoding: str) -> bytes:
    # How Python 3 writes bytes into an old pickle; the other encoding that it could name may run long.
    if encoding != "latin1":
        raise ValueError(encoding)
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    # How Python 3 writes empty ones into an old pickle.
    return b""


def _attribute(owner: Any, name: str) -> Inert:
    if not isinstance(owner, safe_pickle.Global) or owner.name != _HISTORY:
        raise UnsafeCheckpoint("The file names 'getattr', which is not part of a checkpoint's tensors.")
    return Inert(name)


def _inert(name: str) -> Callable[..., Inert]:
    return lambda *_: Inert(name)


# What training leaves in checkpoints beside the weights. Nothing is made of these and nothing is kept: the
# machine only has to get past them.
_HISTORY = "mmengine.logging.history_buffer.HistoryBuffer"
_NUMBERS = ("bool", "int", "long", "float", "complex")
_BUILT_IN = (*_NUMBERS, "str", "unicode", "bytearray", "tuple", "slice", "range", "xrange", "object")
_LEFT_BY_TRAINING = (
    _HISTORY,
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    *(f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
    "functools.partial",
    "collections.deque",
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _BUILT_IN),
    "torch.device",
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.strided",
    *(f"torch.{name}" for name in ("float64", "float32", "float16", "bfloat16", "complex64", "complex128")),
    *(f"torch.{name}" for name in ("int64", "int32", "int16", "int8", "uint8", "bool")),
)

# Classes that only hold the options of a training.
_OPTIONS = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    "yacs.config.CfgNode",
    "fvcore.common.config.CfgNode",
    "detectron2.config.config.CfgNode",
    "easydict.EasyDict",
    "addict.addict.Dict",
    "mmengine.config.config.ConfigDict",
    "mmcv.utils.config.ConfigDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
)

BUILDERS: dict[str, safe_pickle.Builder] = {
    **numpy_arrays.BUILDERS,
    **dict.fromkeys(_OPTIONS, _options),
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _ordered_dict,
    "collections.defaultdict": _default_dict,
    "builtins.dict": _ordered_dict,
    "__builtin__.dict": _ordered_dict,
    "builtins.list": _inert("list"),
    "__builtin__.list": _inert("list"),
    "builtins.set": _set,
    "__builtin__.set": _set,
    "builtins.frozenset": _set,
    "__builtin__.frozenset": _set,
    "_codecs.encode": _encoded,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _with_attributes,
    "builtins.getattr": _attribute,
    "__builtin__.getattr": _attribute,
    **{name: _inert(name) for name in _LEFT_BY_TRAINING},
    **{f"torch.{name}": _inert(name) for name in _ELEMENT_OF_STORAGE},
    **{f"torch.cuda.{name}": _inert(name) for name in _ELEMENT_OF_STORAGE},
}


class Names(dict[str, safe_pickle.Builder]):
    """The builders for one file. Objects of a program's own classes become inert: they have no contents.

    own: the names of these classes, in the file's order.
    """

    def __init__(self) -> None:
        super().__init__(BUILDERS)
        self.own: list[str] = []

    def __missing__(self, name: str) -> safe_pickle.Builder:
        if not re.fullmatch(OWN_CLASS, name):
            raise KeyError(name)
        self.own.append(name)
        self[name] = build = _inert(name)
        return build


@dataclass(frozen=True)
class _View:
    """A storage as a pickle refers to it: old files know views that begin at an offset."""

    storage: Storage
    offset: int


class Storages:
    """The storages that a pickle refers to, by key."""

    def __init__(self) -> None:
        self.found: dict[str, Storage] = {}

    def refer(self, reference: Any) -> _View:
        """Return the storage of ("storage", type, key, device, count[, view])."""
        if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
            raise CheckpointError("The file holds a whole model as code.", hint=SAVE_STATE_DICT)
        kind, key, count = reference[1], reference[2], reference[4]
        name = kind.name.rpartition(".")[2] if isinstance(kind, safe_pickle.Global) else ""
        if name not in _ELEMENT_OF_STORAGE or not isinstance(key, str) or type(count) is not int or count < 0:
            raise CheckpointError("The file is damaged: a storage has no proper type or size.")
        storage = self.found.setdefault(key, Storage(key, _ELEMENT_OF_STORAGE[name], count))
        if (storage.element, storage.count) != (_ELEMENT_OF_STORAGE[name], count):
            raise CheckpointError(f"The file is damaged: storage {key} is of two types or sizes.")
        view = reference[5] if len(reference) > 5 else None
        return _View(storage, 0 if view is None else int(view[1]))
