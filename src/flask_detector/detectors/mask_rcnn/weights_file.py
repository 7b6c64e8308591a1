"""The converted weights on disk: one file of numbers that is mapped into memory, and a manifest.

The folder holds ``weights.bin``, all arrays one behind the other in float32, each at a multiple of 64 bytes,
and ``manifest.json``, which says which array is where, of which variant they are and how the classes are
called.
"""

import json
import mmap
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from flask_detector.detectors.mask_rcnn.checkpoint.identify import Recognised, recognise
from flask_detector.detectors.mask_rcnn.checkpoint.read import read_checkpoint
from flask_detector.detectors.mask_rcnn.fold_batchnorm import fold
from flask_detector.detectors.mask_rcnn.variants import TRAITS, Variant
from flask_detector.errors import CheckpointError

Floats = npt.NDArray[np.float32]

GRAPH_VERSION = 1

_ALIGNMENT = 64

_FORGETTING_SECONDS = 0.02
_MANIFEST = "manifest.json"
_WEIGHTS = "weights.bin"


def convert(
    checkpoint: Path,
    folder: Path,
    *,
    variant: Variant | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Make the folder of converted weights out of a checkpoint (.pth or .safetensors).

    The folder appears whole or not at all; one that is there already is replaced.

    variant: needed only where the checkpoint does not tell, see `recognise`.
    on_progress: called with the part that is done, ending with 1.0.

    Raises UnsafeCheckpoint, ForeignCheckpoint or another CheckpointError, with the checkpoint's name, and
    OSError where the folder can't be written.
    """
    report = on_progress or (lambda _: None)
    found = read_checkpoint(checkpoint)
    try:
        recognised = recognise(found, variant)
        with _whole_or_not_at_all(folder) as unfinished:
            _write(recognised, unfinished, report)
    except CheckpointError as error:
        raise type(error)(f"{checkpoint.name}: {error.message}", hint=error.hint) from error
    report(1.0)


def labels_of(folder: Path) -> tuple[str, ...]:
    """Return the names of the classes, by class id, of the converted weights in a folder.

    Raises FileNotFoundError where there are none.
    """
    return tuple(json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))["labels"])


@dataclass(frozen=True)
class Converted:
    """Converted weights, mapped into memory.

    weights: by our names of the layers with ".weight" and ".bias"; read-only.
    labels: the names of the classes by class id.
    classes: for each class of the network (without the background), its class id.
    """

    variant: Variant
    labels: tuple[str, ...]
    classes: tuple[int, ...]
    weights: Mapping[str, Floats]
    _mapping: mmap.mmap

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return what `convert` wrote. Raises CheckpointError where the folder holds something else."""
        try:
            manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            if manifest["graph_version"] != GRAPH_VERSION:
                raise ValueError("another version")
            with (folder / _WEIGHTS).open("rb") as file:
                # The engine takes only arrays that could be written to; nobody writes.
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            weights = {
                name: np.frombuffer(
                    mapping, np.float32, int(np.prod(entry["shape"])), entry["offset"]
                ).reshape(entry["shape"])
                for name, entry in manifest["arrays"].items()
            }
            variant = Variant(manifest["variant"])
            return cls(variant, tuple(manifest["labels"]), tuple(manifest["classes"]), weights, mapping)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"The converted weights in {folder} can't be read.",
                hint="Remove the folder to convert again.",
            ) from error

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Forget pages all the while that the block runs, which reads each of many weights once."""
        is_over = threading.Event()

        def forget() -> None:
            while not is_over.wait(_FORGETTING_SECONDS):
                self.forget_pages()

        thread = threading.Thread(target=forget, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            self.forget_pages()

    def forget_pages(self) -> None:
        """Let the system take back the memory of weights that were read; they are read again when needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapping.madvise(mmap.MADV_DONTNEED)


def _write(recognised: Recognised, folder: Path, report: Callable[[float], None]) -> None:
    epsilon = TRAITS[recognised.variant].norm_epsilon
    arrays: dict[str, dict[str, Any]] = {}
    with (folder / _WEIGHTS).open("wb") as file:

        def append(name: str, array: Floats) -> None:
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            arrays[name] = {"offset": file.tell(), "shape": list(array.shape)}
            file.write(array.data)

        pending: dict[str, tuple[Floats, Floats]] = {}
        for number, layer in enumerate(recognised.layers):
            weight, bias = fold(layer, recognised.tensors, epsilon=epsilon)
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise CheckpointError(f"The layer '{layer.source}' has values that are no finite numbers.")
            name = layer.name
            if name == "rpn.logits":
                pending[name] = weight, bias
                continue
            if name == "rpn.deltas":
                # The two read the same input: one convolution gives both.
                name = "rpn.answers"
                weight = np.concatenate([pending["rpn.logits"][0], weight])
                bias = np.concatenate([pending["rpn.logits"][1], bias])
            append(f"{name}.weight", weight)
            append(f"{name}.bias", bias)
            report((number + 1) / (len(recognised.layers) + 1))
        file.flush()
        os.fsync(file.fileno())
    manifest = {
        "graph_version": GRAPH_VERSION,
        "variant": str(recognised.variant),
        "labels": list(recognised.labels),
        "classes": list(recognised.classes),
        "arrays": arrays,
    }
    with (folder / _MANIFEST).open("w", encoding="utf-8") as text:
        json.dump(manifest, text)
        text.flush()
        os.fsync(text.fileno())


@contextmanager
def _whole_or_not_at_all(folder: Path) -> Iterator[Path]:
    """Give a folder beside `folder` that takes its place at the end, or is removed after a failure."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    replaced = unfinished.with_name(f"{unfinished.name}-replaced")
    unfinished.mkdir()
    try:
        yield unfinished
        if folder.exists():
            # Moved away as a whole: deleted in its place, it would be half there for a while.
            folder.rename(replaced)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
