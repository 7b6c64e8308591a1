"""What checkpoints of all networks share: prefixes of names, class names, and the report of what misfits."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flask_detector.detectors.checkpoint.tensors import Tensor
from flask_detector.errors import ForeignCheckpoint

# Put before every name by training on several devices, by Lightning and by torch.compile.
_PREFIXES = ("module.", "model.", "_orig_mod.")

_LISTED = 10


def without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without what training put before all names, and without its copies beside them."""
    # MMDetection 2 saves averaged weights, and beside them others: "ema_backbone_conv1_weight" and so on.
    copies = {f"ema_{name.replace('.', '_')}" for name in tensors}
    names = [name for name in tensors if name not in copies]
    prefix = ""
    while more := [one for one in _PREFIXES if all(name.startswith(prefix + one) for name in names)]:
        prefix += more[0]
    return {name.removeprefix(prefix): tensors[name] for name in names}


def own_labels(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the class names in the file: MMDetection 2 has them in "CLASSES", 3 in "dataset_meta"."""
    dataset = meta.get("dataset_meta")
    sources = [meta, dataset] if isinstance(dataset, dict) else [meta]
    for source in sources:
        for key in ("CLASSES", "classes"):
            names = source.get(key)
            if isinstance(names, str):  # of a single class
                names = (names,)
            if isinstance(names, tuple | list) and names and all(isinstance(name, str) for name in names):
                return tuple(names)
    return ()


def check_shapes(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    ignored: Collection[str],
    *,
    network: str,
) -> None:
    """Raise ForeignCheckpoint with the list of what does not fit.

    shapes: what the network must have. ignored: what may be there besides.
    """
    lacking = [name for name in shapes if name not in tensors]
    surplus = [name for name in tensors if name not in shapes and name not in ignored]
    wrong = [
        f"{name} {tensors[name].shape} instead of {shape}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems = [
        f"{what} {listed(names)}"
        for what, names in (("it lacks", lacking), ("it has besides", surplus), ("wrong shapes:", wrong))
        if names
    ]
    if problems:
        raise ForeignCheckpoint(f"The checkpoint does not fit {network}: {'; '.join(problems)}.")


def listed(names: Sequence[str]) -> str:
    """Return the first ten names, and how many more there are."""
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
