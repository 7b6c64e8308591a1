"""Which models an installation has, and in which state each is: what can be read of their folder."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from flask_detector.detectors.coco_labels import COCO_LABELS
from flask_detector.detectors.zoo import custom
from flask_detector.detectors.zoo.conversion import Converter, checkpoint_converter
from flask_detector.detectors.zoo.download import Patience, part_of
from flask_detector.detectors.zoo.folder import ModelFolder
from flask_detector.detectors.zoo.install_state import ModelState, Stage
from flask_detector.detectors.zoo.ranking import best_first
from flask_detector.detectors.zoo.registry import MODELS, Embedded, ModelInfo, Published
from flask_detector.errors import ModelNotInstalled, UnknownModel


class ModelCatalogue:
    """The models of an installation, as their folder has them at the moment.

    Methods that take a name raise UnknownModel for one that isn't known.

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
        if not info.source.file_name:  # of an own model nothing but its graphs is kept
            return ModelState(Stage.FAILED, note=_how_to_get(info))
        received = 0
        with suppress(FileNotFoundError):
            received = part_of(weights).stat().st_size
        return ModelState(Stage.ABSENT, received, info.source.size)

    def at_work(self) -> dict[str, ModelState]:
        """Return the models that some process fetches, converts or adds right now, and how far each is."""
        names = [path.parent.name for path in sorted(self.folder.glob("*/state.json"))]
        told = {name: self._of(name).told() for name in names}
        return {name: state for name, state in told.items() if state and state.stage is not Stage.FAILED}

    def folder_id(self) -> str:
        """Return what tells this folder from those of other machines; "" where it can't be written."""
        file = self.folder / ".id"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError), file.open("x", encoding="ascii") as new:
                new.write(secrets.token_hex(8))
            return file.read_text(encoding="ascii")
        return ""

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


def _labels_in(graphs: Path) -> tuple[str, ...]:
    from flask_detector.detectors.weights_file import labels_of

    with suppress(FileNotFoundError):
        return labels_of(graphs)
    return COCO_LABELS


def _how_to_get(info: ModelInfo) -> str:
    if isinstance(info.source, Published):
        return f"To install it: flask-detector models pull {info.name}"
    return (
        "Its weights are missing or from another version; add it again: "
        f"flask-detector models add {info.name} FILE"
    )
