"""The models of an installation: which there are, in which state, and how their weights come and go."""

import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from flask_detector.atomic_files import sync
from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.reading import Reading
from flask_detector.detectors.zoo import custom
from flask_detector.detectors.zoo.conversion import Converter, checkpoint_converter
from flask_detector.detectors.zoo.download import Patience, fetch, part_of, sha256_of
from flask_detector.detectors.zoo.folder import ModelFolder
from flask_detector.detectors.zoo.install_state import ModelState, OnState, Stage
from flask_detector.detectors.zoo.ranking import best_first
from flask_detector.detectors.zoo.registry import MODELS, Added, Embedded, ModelInfo, Published
from flask_detector.errors import (
    BadParameter,
    CheckpointError,
    ModelConflict,
    ModelError,
    ModelNotInstalled,
    UnknownModel,
)


class ModelStore:
    """The models of an installation, kept in a folder.

    Any number of processes may use one folder: who comes second waits and finds the work done. Methods that
    take a name raise UnknownModel for one that isn't known; those that change something raise ModelError when
    the folder can't be written.

    folder: made when something is put into it.
    models: the table of embedded and published models.
    converter: gives what makes graphs of checkpoints.
    machine: what measured times hold for.
    patience: how long downloads wait.
    """

    def __init__(
        self,
        folder: Path,
        *,
        models: Mapping[str, ModelInfo] = MODELS,
        converter: Callable[[], Converter] = checkpoint_converter,
        patience: Patience | None = None,
        machine: str = "",
    ) -> None:
        self.folder = folder
        self._machine = machine
        self._models = models
        self._converter = converter
        self._patience = patience

    def known(self) -> list[ModelInfo]:
        """Return all models: those of the table in its order, then the user's own by name."""
        return list(self._by_name().values())

    def info(self, name: str) -> ModelInfo:
        """Return what is known of a model."""
        models = self._by_name()
        if name not in models:
            close = get_close_matches(name, models, n=3)
            raise UnknownModel(
                f"There is no model '{name}'.",
                hint=f"Did you mean {' or '.join(close)}?" if close else f"Available: {', '.join(models)}.",
            )
        return models[name]

    def installed(self) -> list[str]:
        """Return the names of the models that can be loaded, in the order of `known`.

        One that is being converted is among them (to load it is to wait for that); one whose conversion
        failed is not.
        """
        return [info.name for info in self.known() if self._is_installed(info)]

    def default(self) -> str:
        """Return the name of the best installed model, see `best_first`: what `auto` is for who can wait.

        A user's own model is only used by its name. Raises ModelNotInstalled if there is none.
        """
        ranked = self._best_first(info for info in self.known() if self._is_installed(info))
        if not ranked:
            raise ModelNotInstalled(
                "No model is installed.", hint="Run 'flask-detector models' to list them."
            )
        return ranked[0]

    def ranked(self) -> list[str]:
        """Return the names of the models that can be loaded at once, the best first, see `best_first`.

        One that is not converted yet is left out, and the user's own as well.
        """
        return self._best_first(
            info
            for name, info in self._models.items()
            if self._is_ready(info) and not custom.is_one(self._of(name).path)
        )

    def seconds(self, name: str) -> float | None:
        """Return the seconds that a picture takes on this machine; None where that was not measured."""
        return self._of(name).seconds(self._machine)

    def record_seconds(self, name: str, seconds: float) -> None:
        """Keep what was measured on this machine; a folder that can't be written keeps nothing."""
        with suppress(OSError):
            self._of(name).record_seconds(self._machine, seconds)

    def unconverted(self) -> list[str]:
        """Return the names of the installed models that have no graphs of the present version yet."""
        return [i.name for i in self.known() if self._is_installed(i) and not self._is_ready(i)]

    def state(self, name: str) -> ModelState:
        """Return the stage of a model and how far it got, whichever process works on it."""
        info = self.info(name)
        if isinstance(info.source, Embedded):
            return ModelState(Stage.EMBEDDED)
        told = self._of(name).told()
        if told is not None:
            return told
        weights = self._weights(info)
        if weights.exists():
            return ModelState(Stage.INSTALLED)
        received = 0
        with suppress(FileNotFoundError):
            received = part_of(weights).stat().st_size
        return ModelState(Stage.ABSENT, received, info.source.size)

    def folder_id(self) -> str:
        """Return what tells this folder from those of other machines; "" where it can't be written."""
        file = self.folder / ".id"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError), file.open("x", encoding="ascii") as new:
                new.write(secrets.token_hex(8))
            return file.read_text(encoding="ascii")
        return ""

    def at_work(self) -> dict[str, ModelState]:
        """Return the models that some process fetches, converts or adds right now, and how far each is."""
        names = [path.parent.name for path in sorted(self.folder.glob("*/state.json"))]
        told = {name: self._of(name).told() for name in names}
        return {name: state for name, state in told.items() if state and state.stage is not Stage.FAILED}

    def cancel(self, name: str) -> None:
        """Have whoever works on a model stop; what it has downloaded by then is kept."""
        custom.check_name(name)
        self._of(name).cancel()

    def labels(self, name: str) -> tuple[str, ...]:
        """Return the names of a model's classes by class id, without loading it.

        COCO's, unless the converted weights name others; of what is not converted yet nothing else is known.
        """
        if isinstance(self.info(name).source, Embedded):
            return COCO_LABELS
        return _labels_in(self._of(name).graphs(self._converter().version))

    def path(self, name: str) -> Path:
        """Return the weights file of a model, or the folder of the converted ones where only these are kept.

        Raises ModelNotInstalled if it isn't there.
        """
        info = self.info(name)
        weights = self._weights(info)
        if not weights.exists():
            raise ModelNotInstalled(f"The model {name} is not installed.", hint=_how_to_get(info))
        return weights

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
            `custom.Reading` and `mask_rcnn.options`.

        Raises BadParameter, CheckpointError, and ModelError if there is such a model already.
        """
        custom.check_name(name)
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
                own = replace(info, architecture=reading.architecture)
                custom.record(folder.path, own)
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

    def _by_name(self) -> dict[str, ModelInfo]:
        # What a user added stays what it is, even if a later table has a model of that name.
        return {**self._models, **custom.read_all(self.folder)}

    def _of(self, name: str) -> ModelFolder:
        return ModelFolder(self.folder, name)

    def _weights(self, info: ModelInfo) -> Path:
        if isinstance(info.source, Embedded):
            return info.source.path
        if not info.source.file_name:
            return self._of(info.name).graphs(self._converter().version)
        return self._of(info.name).path / info.source.file_name

    def _published_variant(self, sha256: str) -> str | None:
        """Return the variant of the published file with that checksum, whatever it is called here."""
        for row in self._models.values():
            if isinstance(row.source, Published) and sha256.startswith(row.source.sha256):
                return row.variant
        return None

    def _is_installed(self, info: ModelInfo) -> bool:
        if isinstance(info.source, Embedded):
            return True
        if not self._weights(info).exists():
            return False
        told = self._of(info.name).told()
        return told is None or told.stage is not Stage.FAILED

    def _is_ready(self, info: ModelInfo) -> bool:
        if isinstance(info.source, Embedded):
            return True
        return self._is_installed(info) and self._of(info.name).graphs(self._converter().version).is_dir()

    def _best_first(self, models: Iterable[ModelInfo]) -> list[str]:
        found = list(models)
        seconds = {info.name: s for info in found if (s := self.seconds(info.name)) is not None}
        return [info.name for info in best_first(found, seconds)]

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


def _labels_in(graphs: Path) -> tuple[str, ...]:
    from flask_detector.detectors.weights_file import labels_of

    with suppress(FileNotFoundError):
        return labels_of(graphs)
    return COCO_LABELS


def _check_published(name: str, published: Published, brought: Added) -> None:
    if not brought.sha256.startswith(published.sha256):
        raise CheckpointError(
            f"{brought.original_name} is not the published file of {name}: its sha256 begins with "
            f"{brought.sha256[:8]}, not with {published.sha256[:8]}.",
            hint="Copy the file again; for a custom model, choose another name.",
        )


def _how_to_get(info: ModelInfo) -> str:
    if isinstance(info.source, Published):
        return f"To install it: flask-detector models pull {info.name}"
    return (
        "Its weights are missing or from another version; add it again: "
        f"flask-detector models add {info.name} FILE"
    )
