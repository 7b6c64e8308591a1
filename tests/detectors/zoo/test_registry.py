import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flask_detector.detectors import MAIN_MODEL, MODELS, load_detector, model_store
from flask_detector.detectors.rtmdet.architecture import Architecture
from flask_detector.detectors.zoo.custom import check_name
from flask_detector.detectors.zoo.registry import Embedded, Published
from flask_detector.errors import ModelNotInstalled, UnknownModel
from flask_detector.settings import Settings


@pytest.mark.parametrize("name", MODELS)
def test_a_row_is_found_under_its_name_which_could_name_a_folder(name: str) -> None:
    assert MODELS[name].name == name
    check_name(name)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_says_what_the_model_is(name: str) -> None:
    row = MODELS[name]
    assert row.title
    assert row.what.endswith(".")
    assert row.box_ap is not None
    assert (row.mask_ap is not None) == row.has_masks


@pytest.mark.parametrize("name", MODELS)
def test_a_row_names_weights_that_can_be_checked(name: str) -> None:
    source = MODELS[name].source
    if isinstance(source, Embedded):
        assert source.path.is_file()
        return
    assert isinstance(source, Published)
    assert source.url.startswith("https://")
    # Both publishers end a file's name with the first 8 digits of its sha256.
    assert source.file_name.endswith(f"-{source.sha256[:8]}.pth")
    assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", source.sha256)
    assert 19e6 < source.size < 420e6


def test_published_rows_are_of_variants_that_there_are() -> None:
    from flask_detector.detectors.mask_rcnn.variants import Variant

    variants = [row.variant for row in MODELS.values() if row.architecture == "mask-rcnn"]
    assert len(variants) == 5
    assert set(variants) <= set(Variant)


@pytest.mark.parametrize("kind", ["rtmdet", "rtmdet-ins"])
def test_the_sizes_of_rtmdet_are_those_of_their_tensors(kind: str) -> None:
    has_masks = kind == "rtmdet-ins"
    factors = {"tiny": (0.375, 0.167), "s": (0.5, 0.33), "m": (0.75, 0.67), "l": (1, 1), "x": (1.25, 1.33)}
    for size, (width, depth) in factors.items():
        blocks = [max(round(number * depth), 1) for number in (3, 6, 6, 3)]
        channels = [int(number * width) for number in (64, 128, 256, 512, 1024)]
        architecture = Architecture(
            tuple(channels),  # type: ignore[arg-type]  # five
            tuple(blocks),  # type: ignore[arg-type]  # four
            max(round(3 * depth), 1),
            80,
            has_masks,
            predicts_logarithms=False,
        )
        # A file has once what is one: a tower's convolutions on all levels, and with masks both towers.
        tower = "tower." if has_masks else r"\1."
        shared = {re.sub(r"(cls|reg)_convs\.\d\.", tower, conv.name): conv for conv in architecture.convs()}
        numbers = sum(math.prod(conv.shape) for conv in shared.values())
        norms = sum(4 * conv.shape[0] for conv in architecture.convs() if conv.norm is not None)
        biases = sum(conv.shape[0] for conv in architecture.convs() if conv.norm is None)
        assert MODELS[f"{kind}-{size}"].source.size == pytest.approx(4 * (numbers + norms + biases), rel=0.01)


def test_no_two_rows_share_a_file() -> None:
    urls = [row.source.url for row in MODELS.values() if isinstance(row.source, Published)]
    assert len(set(urls)) == len(urls)


def test_there_is_an_embedded_model_and_a_better_main_one() -> None:
    main = MODELS[MAIN_MODEL]
    assert main.has_masks
    embedded = [row for row in MODELS.values() if isinstance(row.source, Embedded)]
    assert [row.name for row in embedded] == ["nanodet-g"]
    assert embedded[0].box_ap is not None
    assert main.box_ap is not None
    assert embedded[0].box_ap < main.box_ap


def test_looking_at_the_models_loads_no_engine() -> None:
    program = (
        "import sys; from flask_detector.detectors import model_store; from pathlib import Path;"
        "from flask_detector.settings import Settings;"
        "store = model_store(Settings(data_dir=Path('nowhere')));"
        "print(store.default(), [str(store.state(i.name).stage) for i in store.known()]);"
        "sys.exit(sorted({'openvino', 'torch', 'flask', 'redis', 'rq'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("nanodet-g ['embedded', 'absent', ")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.mark.parametrize("name", ["auto", "nanodet-g"])
def test_a_fresh_installation_loads_the_embedded_model(settings: Settings, name: str) -> None:
    detector = load_detector(name, settings=settings)
    assert detector.name == "nanodet-g"
    assert len(detector.detect(np.zeros((64, 64, 3), np.uint8), min_score=0.9)) == 0


def test_the_model_of_the_settings_is_loaded_unless_another_is_asked_for(settings: Settings) -> None:
    settings = settings.model_copy(update={"model": MAIN_MODEL})
    with pytest.raises(ModelNotInstalled, match=f"flask-detector models pull {MAIN_MODEL}"):
        load_detector(settings=settings)
    assert load_detector("nanodet-g", settings=settings).name == "nanodet-g"


def test_a_name_that_nobody_has_is_refused_with_close_ones(settings: Settings) -> None:
    with pytest.raises(UnknownModel, match="Did you mean nanodet-g"):
        load_detector("nanodet", settings=settings)


def test_the_store_of_an_installation_is_in_its_data_folder(settings: Settings, tmp_path: Path) -> None:
    store = model_store(settings)
    source = MODELS[MAIN_MODEL].source
    assert isinstance(source, Published)
    folder = tmp_path / "models" / MAIN_MODEL
    folder.mkdir(parents=True)
    (folder / source.file_name).write_bytes(b"")
    assert store.path(MAIN_MODEL) == folder / source.file_name
    assert store.default() == MAIN_MODEL
