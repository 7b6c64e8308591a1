"""The converted weights on disk: one file of numbers that is mapped into memory, and a manifest.

The folder holds ``weights.bin``, all arrays one behind the other in float32, each at a multiple of 64 bytes,
and ``manifest.json``, which says which array is where, of which variant they are and how the classes are
called.
"""

import errno
import json
import mmap
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from flask_detector.atomic_files import write_whole
from flask_detector.detectors.reading import Reading
from flask_detector.errors import CheckpointError

Floats = npt.NDArray[np.float32]

GRAPH_VERSION = 1

_ALIGNMENT = 64

_FORGETTING_SECONDS = 0.02
_MANIFEST = "manifest.json"
_WEIGHTS = "weights.bin"


def architecture_in(folder: Path) -> str:
    """Return which detector the converted weights in a folder are for.

    Raises CheckpointError where the folder holds something else.
    """
    return str(read_manifest(folder)["architecture"])


def labels_of(folder: Path) -> tuple[str, ...]:
    """Return the names of the classes, by class id, of the converted weights in a folder.

    Raises FileNotFoundError where there are none.
    """
    return tuple(json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))["labels"])


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a converted model. Raises CheckpointError where there is something else."""
    with _explained(folder):
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["graph_version"] != GRAPH_VERSION:
            raise ValueError("another version")
        # In the first ones it was the only one.
        return {"architecture": "mask-rcnn", "options": {}, **manifest}


def write_manifest(folder: Path, reading: Reading, classes: Sequence[int], **more: Any) -> None:
    """Write the manifest of a converted model into its folder: see `WeightsFile`, and its detector."""
    manifest = {
        "graph_version": GRAPH_VERSION,
        "architecture": reading.architecture,
        "variant": reading.variant,
        "labels": reading.labels,
        "classes": classes,
        "options": dict(reading.options),
        **more,
    }
    write_whole(folder / _MANIFEST, json.dumps(manifest).encode(), sync_folders=[folder])


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            raise MemoryError from error  # the files are as they should be
        raise CheckpointError(
            f"The converted weights in {folder} can't be read.", hint="Remove the folder to convert again."
        ) from error


@dataclass(frozen=True)
class WeightsFile:
    """Converted weights, mapped into memory.

    architecture: which detector they are for.
    variant: which of its relatives they are of.
    weights: by our names of the layers with ".weight" and ".bias"; read-only.
    labels: the names of the classes by class id.
    classes: for each class of the network (without the background), its class id.
    options: what is set otherwise than the variant has it, by name.
    """

    architecture: str
    variant: str
    labels: tuple[str, ...]
    classes: tuple[int, ...]
    options: Mapping[str, Any]
    weights: Mapping[str, Floats]
    _mapping: mmap.mmap

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return what `write_weights` wrote. Raises CheckpointError where the folder holds something else."""
        manifest = read_manifest(folder)
        with _explained(folder):
            with (folder / _WEIGHTS).open("rb") as file:
                # The engine takes only arrays that could be written to; nobody writes.
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            weights = {
                name: np.frombuffer(
                    mapping, np.float32, int(np.prod(entry["shape"])), entry["offset"]
                ).reshape(entry["shape"])
                for name, entry in manifest["arrays"].items()
            }
            return cls(
                manifest["architecture"],
                manifest["variant"],
                tuple(manifest["labels"]),
                tuple(manifest["classes"]),
                dict(manifest["options"]),
                weights,
                mapping,
            )

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


def write_weights(
    folder: Path, arrays: Iterable[tuple[str, Floats]], reading: Reading, classes: Sequence[int]
) -> None:
    """Make the folder; it appears whole or not at all, and one that is there already is replaced.

    arrays: by our names of the layers with ".weight" and ".bias".
    reading, classes: what they are of, see `WeightsFile`.

    Raises OSError where the folder can't be written.
    """
    with whole_or_not_at_all(folder) as unfinished:
        places: dict[str, dict[str, Any]] = {}
        with (unfinished / _WEIGHTS).open("wb") as file:
            for name, array in arrays:
                file.write(b"\0" * (-file.tell() % _ALIGNMENT))
                places[name] = {"offset": file.tell(), "shape": list(array.shape)}
                file.write(np.ascontiguousarray(array).data)
            file.flush()
            os.fsync(file.fileno())
        write_manifest(unfinished, reading, classes, arrays=places)


def check_finite(layer: str, *arrays: Floats) -> None:
    """Raise CheckpointError where a layer's arrays have values that are no finite numbers."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise CheckpointError(f"The layer '{layer}' has values that are no finite numbers.")


@contextmanager
def whole_or_not_at_all(folder: Path) -> Iterator[Path]:
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
