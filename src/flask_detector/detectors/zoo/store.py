"""How the models of an installation come and go: fetched, converted, added, removed."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask_detector.atomic_files import sync
from flask_detector.detectors.reading import Reading
from flask_detector.detectors.zoo import custom
from flask_detector.detectors.zoo.catalogue import ModelCatalogue
from flask_detector.detectors.zoo.conversion import Converter
from flask_detector.detectors.zoo.download import fetch, sha256_of
from flask_detector.detectors.zoo.install_state import ModelState, OnState, Stage
from flask_detector.detectors.zoo.registry import Added, Embedded, ModelInfo, Published
from flask_detector.errors import (
    BadParameter,
    CheckpointError,
    ModelConflict,
    ModelError,
    ModelNotInstalled,
)


class ModelStore(ModelCatalogue):
    """The models of an installation, to be changed as well.

    Any number of processes may use one folder: who comes second waits and finds the work done. Methods that
    change something raise ModelError when the folder can't be written.
    """

    def record_seconds(self, name: str, seconds: float) -> None:
        """Keep what was measured on this machine; a folder that can't be written keeps nothing."""
        with suppress(OSError):
            self._of(name).record_seconds(self._machine, seconds)

    def cancel(self, name: str) -> None:
        """Have whoever works on a model stop; what it has downloaded by then is kept."""
        custom.check_name(name)
        self._of(name).cancel()

    def ready(self, name: str, *, on_progress: OnState | None = None) -> Path:
        """Return the folder of a model's graphs; they are made first where the current version isn't there.

        Raises ModelNotInstalled, CheckpointError, and ModelError for an embedded model, which has no graphs.
        """
        info = self.info(name)
        if isinstance(info.source, Embedded):
            raise ModelError(f"The model {name} is built in and is not converted.")
        checkpoint = self.path(name)
        folder, converter = self._of(name), self._converter()
        graphs = folder.graphs(converter.version)
        if not graphs.is_dir():
            with folder.work(on_progress) as tell, folder.draft() as draft:
                if not graphs.is_dir():
                    made, _ = _convert(converter, checkpoint, draft, info, tell)
                    folder.put_graphs(made, converter.version)
        return graphs

    def pull(self, name: str, *, mirror_url: str | None = None, on_progress: OnState | None = None) -> Path:
        """Fetch the weights of a model unless they are there; return their file.

        mirror_url: an address that holds the published files by their names, used instead of the publisher's.

        Raises DownloadError.
        """
        info = self.info(name)
        weights = self._weights(info)
        if isinstance(info.source, Published) and not weights.is_file():
            with self._of(name).work(on_progress) as tell:
                if not weights.is_file():
                    self._fetch(info, info.source, weights, mirror_url, tell)
        return self.path(name)

    def install(
        self, name: str, *, mirror_url: str | None = None, on_progress: OnState | None = None
    ) -> None:
        """Do all that can be done before a model is loaded: pull it and make it ready."""
        if not isinstance(self.info(name).source, Embedded):
            self.pull(name, mirror_url=mirror_url, on_progress=on_progress)
            self.ready(name, on_progress=on_progress)
            self._measure(name)

    def add(
        self,
        name: str,
        file: Path,
        *,
        variant: str | None = None,
        labels: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        on_progress: OnState | None = None,
    ) -> Reading:
        """Put a weights file's model into the store and return what it was recognised as.

        If that fails nothing of it is kept. Of a user's own model only the converted weights are kept.

        name: one of the table, then the file must be the published one; or a new one, for a user's own model.
        variant, labels, options: of an own model, what its file does not say or says wrongly, see
            `mask_rcnn.options` and `onnx.interpretation`.

        Raises BadParameter, CheckpointError, and ModelError if there is such a model already.
        """
        custom.check_name(name)
        if file.is_dir():
            raise BadParameter(f"{file} is a folder.", hint="Give the file of weights that is in it.")
        if not file.is_file():
            raise BadParameter(f"There is no file {file}.", hint="Check the path.")
        listed = self._models.get(name)
        if listed is not None and isinstance(listed.source, Embedded):
            raise ModelConflict(f"The model {name} is built in.", hint="Choose another name.")
        if listed is not None and variant not in {None, listed.variant}:
            raise BadParameter(
                f"The model {name} is of the variant {listed.variant}.",
                hint="Leave the variant out, or give the model another name.",
            )
        folder, converter = self._of(name), self._converter()
        with folder.work(on_progress, keep_failure=False) as tell, folder.draft() as draft:
            if name in self.installed():
                raise ModelConflict(
                    f"A model named {name} already exists.",
                    hint=f"Choose another name, or remove it first: flask-detector models remove {name}",
                )
            tell(ModelState(Stage.CONVERTING, 0, 100))
            source = Added("", file.name, sha256_of(file), file.stat().st_size)
            if listed is not None and isinstance(listed.source, Published):
                _check_published(name, listed.source, source)
            else:
                variant = variant or self._published_variant(source.sha256)
            info = listed or custom.own_model(name, source, variant)
            graphs, reading = _convert(converter, file, draft, info, tell, labels=labels, options=options)
            custom.check_labels(reading.labels)
            converter.check(graphs)
            folder.put_graphs(graphs, converter.version)
            if listed is None:
                known = {name: getattr(reading, name) for name in ("architecture", "has_masks", "licence")}
                custom.record(folder.path, replace(info, **known))
            else:
                copy = draft / file.name
                shutil.copyfile(file, copy)
                sync(copy)
                copy.replace(self._weights(info))
            sync(folder.path)
        self._measure(name)
        return reading

    def remove(self, name: str) -> None:
        """Delete the files of a model; an own one is then no longer known.

        Raises ModelNotInstalled if there are none, and ModelError while it is being fetched or converted.
        """
        info = self.info(name)
        if isinstance(info.source, Embedded):
            raise ModelConflict(f"The model {name} is built in and can't be removed.")
        folder = self._of(name)
        if not folder.path.is_dir():
            raise ModelNotInstalled(f"The model {name} is not installed.", hint="There is nothing to remove.")
        folder.delete(self._weights(info))

    def _published_variant(self, sha256: str) -> str | None:
        """Return the variant of the published file with that checksum, whatever it is called here."""
        for row in self._models.values():
            if isinstance(row.source, Published) and sha256.startswith(row.source.sha256):
                return row.variant
        return None

    def _measure(self, name: str) -> None:
        if self.seconds(name) is None and (seconds := self._converter().measure(name)) is not None:
            self.record_seconds(name, seconds)

    def _fetch(
        self, info: ModelInfo, source: Published, weights: Path, mirror_url: str | None, tell: OnState
    ) -> None:
        fetch(
            f"{mirror_url.rstrip('/')}/{source.file_name}" if mirror_url else source.url,
            weights,
            sha256=source.sha256,
            by_hand=f"To install the file manually, download {source.url} on another machine, copy it here "
            f"and run: flask-detector models add {info.name} FILE",
            spare=source.size,  # the graphs are as large as the weights
            patience=self._patience,
            on_bytes=lambda done, total, note: tell(
                ModelState(Stage.DOWNLOADING, done, total or source.size, note)
            ),
        )


def _convert(
    converter: Converter,
    checkpoint: Path,
    draft: Path,
    info: ModelInfo,
    tell: OnState,
    *,
    labels: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> tuple[Path, Reading]:
    """Return the folder of the graphs, made within `draft`, and what the checkpoint is."""
    folder = draft / "graphs"
    folder.mkdir()
    tell(ModelState(Stage.CONVERTING, 0, 100))
    reading = converter.convert(
        checkpoint,
        folder,
        variant=info.variant,
        labels=labels,
        options=options or {},
        on_progress=lambda share: tell(ModelState(Stage.CONVERTING, round(share * 100), 100)),
    )
    return folder, reading


def _check_published(name: str, published: Published, brought: Added) -> None:
    if not brought.sha256.startswith(published.sha256):
        raise CheckpointError(
            f"{brought.original_name} is not the published file of {name}: its sha256 begins with "
            f"{brought.sha256[:8]}, not with {published.sha256[:8]}.",
            hint="Copy the file again; for a custom model, choose another name.",
        )
